//! A certificate with its private key, read from PEM files.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ocsp::{self, Unsent, ocsp_file};
use crate::config::CertificateFiles;
use crate::config::ownership::operator_file;

/// Largest file. A chain has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// A certificate that can be served.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The chain, the private key and the OCSP response, if there is one that can be sent.
    pub(super) signing: Arc<CertifiedKey>,
    /// The names and addresses that it is valid for, in lower case. The first label can be `*`.
    pub(super) names: Vec<String>,
    /// The begin of its validity.
    pub(super) begins: SystemTime,
    /// The end of its validity.
    pub(super) expires: SystemTime,
    /// Until when the OCSP response may be sent.
    response_ends: Option<SystemTime>,
    /// The OCSP response beside it that is not sent.
    pub(super) unsent: Option<Unsent>,
}

/// Why a chain and a private key are no certificate that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "has a private key of a kind that is not supported; make an ECDSA (P-256, P-384), Ed25519 or RSA key"
    )]
    Key,
    #[error("has a certificate that is not valid X.509")]
    Certificate,
    #[error("the private key does not belong to the certificate")]
    Pair,
}

/// Why certificate files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {why}", .file.display())]
pub struct CertificateError {
    file: PathBuf,
    why: String,
}

impl CertificateError {
    pub(super) fn new(file: &Path, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into() }
    }

    /// Whether this file is the reason.
    pub(super) fn is_about(&self, file: &Path) -> bool {
        self.file == file
    }
}

impl Certificate {
    /// Reads both files, and the OCSP response beside the certificate if there is one. A response that
    /// cannot be sent is no error.
    pub(super) fn read(
        files: &CertificateFiles,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (cert, key) = (read(&files.cert)?, read(&files.key)?);
        let certificate = Self::parse(files, (&cert, &key), provider)?;
        Ok(certificate.with_response(&ocsp_file(&files.cert)))
    }

    /// The certificate of files with this content.
    pub(super) fn parse(
        files: &CertificateFiles,
        (cert, key): (&[u8], &[u8]),
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (chain, key) = (chain(&files.cert, cert)?, private_key(&files.key, key)?);
        Self::of(chain, key, provider).map_err(|fault| match fault {
            Fault::Key => CertificateError::new(&files.key, fault.to_string()),
            Fault::Certificate => CertificateError::new(&files.cert, fault.to_string()),
            Fault::Pair => CertificateError::new(
                &files.key,
                format!("does not belong to the certificate in {}", files.cert.display()),
            ),
        })
    }

    /// A certificate of a chain that is not empty.
    pub(super) fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, Fault> {
        let key = provider.key_provider.load_private_key(key).map_err(|_| Fault::Key)?;
        let leaf = chain.first().ok_or(Fault::Certificate)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Fault::Certificate)?;
        let (begins, expires) = validity(&parsed);
        let names = names(&parsed);
        let signing = CertifiedKey { cert: chain, key, ocsp: None };
        signing.keys_match().map_err(|_| Fault::Pair)?;
        let signing = Arc::new(signing);
        Ok(Self { signing, names, begins, expires, response_ends: None, unsent: None })
    }

    /// The same with the OCSP response of a file.
    fn with_response(mut self, file: &Path) -> Self {
        if file.symlink_metadata().is_err() {
            return self;
        }
        let response = match read(file) {
            Ok(response) if response.is_empty() => return self,
            Ok(response) => response,
            Err(error) => {
                self.unsent = Some(Unsent::new(error.to_string(), &[]));
                return self;
            }
        };
        match self.end_of(&response) {
            Ok(ends) => {
                self.response_ends = ends;
                let signing = CertifiedKey::clone(&self.signing);
                self.signing = Arc::new(CertifiedKey { ocsp: Some(response), ..signing });
            }
            Err(fault) => {
                let error = CertificateError::new(file, fault.to_string());
                self.unsent = Some(Unsent::new(error.to_string(), &response));
            }
        }
        self
    }

    fn end_of(&self, response: &[u8]) -> Result<Option<SystemTime>, ocsp::Fault> {
        let leaf = self.signing.cert.first().ok_or(ocsp::Fault::OtherCertificate)?;
        let parsed = X509Certificate::from_der(leaf);
        let (_, parsed) = parsed.map_err(|_| ocsp::Fault::OtherCertificate)?;
        ocsp::end(response, parsed.raw_serial(), SystemTime::now())
    }

    /// Whether its OCSP response is over: clients would end the handshake.
    pub(super) fn has_ended_response(&self, now: SystemTime) -> bool {
        self.response_ends.is_some_and(|end| end <= now)
    }

    /// Its first name, and the end of its validity.
    pub(super) fn named(&self) -> (String, SystemTime) {
        (self.names.first().cloned().unwrap_or_default(), self.expires)
    }

    /// When two thirds of its validity are over: the time to replace it.
    pub(super) fn renewal(&self) -> SystemTime {
        self.begins + self.life() * 2 / 3
    }

    /// When its renewal has been due for so long that a person must look at it.
    pub(super) fn overdue(&self) -> SystemTime {
        self.begins + self.life() * 5 / 6
    }

    fn life(&self) -> Duration {
        self.expires.duration_since(self.begins).unwrap_or_default()
    }

    /// Whether it is valid for a name in lower case. `*` stands for one label (RFC 9525 section 6.3).
    pub(super) fn is_for(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(rest) => parent == Some(rest),
            None => own == name,
        })
    }
}

/// The certificates of a file, at least one.
pub(super) fn chain(
    file: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(CertificateError::new(
            file,
            "has no certificate; a PEM file with `-----BEGIN CERTIFICATE-----` is needed",
        )),
        Err(error) => Err(CertificateError::new(file, format!("is not a PEM file: {error}"))),
    }
}

fn private_key(file: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let is_encrypted = memchr::memmem::find(text, b"ENCRYPTED").is_some();
        let why = match error {
            _ if is_encrypted => {
                "has an encrypted private key; decrypt it: `openssl pkey -in KEY -out NEW`"
                    .to_owned()
            }
            pem::Error::NoItemsFound => {
                "has no private key; a PEM file with `-----BEGIN PRIVATE KEY-----` is needed"
                    .to_owned()
            }
            // The text of the error could show a part of the file.
            _ => "is not a PEM file with a private key".to_owned(),
        };
        CertificateError::new(file, why)
    })
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    names.collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4().or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

fn validity(leaf: &X509Certificate<'_>) -> (SystemTime, SystemTime) {
    let at = |time: i64| {
        let seconds = u64::try_from(time).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    };
    let validity = leaf.validity();
    (at(validity.not_before.timestamp()), at(validity.not_after.timestamp()))
}

/// The content of a plain file of bounded size.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed =
        |error: std::io::Error| CertificateError::new(file, format!("cannot be read: {error}"));
    let meta = std::fs::metadata(file).map_err(failed)?;
    if !meta.is_file() {
        return Err(CertificateError::new(file, "is not a file"));
    }
    if meta.len() > LARGEST {
        return Err(CertificateError::new(file, "is larger than 1 MiB"));
    }
    operator_file::read(file).map_err(failed)
}

#[cfg(test)]
#[path = "../../tests/unit/tls/certificate.rs"]
mod tests;
