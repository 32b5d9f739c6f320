//! A certificate with its private key, read from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::CertificateFiles;

/// Largest file. A chain has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// A certificate that can be served.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The chain, the private key and the OCSP response.
    pub(super) signing: Arc<CertifiedKey>,
    /// The names that it is valid for, in lower case. The first label can be `*`.
    pub(super) names: Vec<String>,
    /// The end of its validity.
    pub(super) expires: SystemTime,
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
}

impl Certificate {
    /// Reads both files, and the OCSP response beside the certificate if there is one.
    pub(super) fn read(
        files: &CertificateFiles,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let chain = chain(&files.cert)?;
        let key = private_key(&files.key)?;
        let signing = provider.key_provider.load_private_key(key).map_err(|_| {
            CertificateError::new(
                &files.key,
                "has a private key of a kind that is not supported; make an ECDSA (P-256, P-384), Ed25519 or RSA key",
            )
        })?;
        let (names, expires) = names_and_end(&chain[0], &files.cert)?;
        let ocsp = read(&ocsp_file(&files.cert)).ok().filter(|response| !response.is_empty());
        let signing = CertifiedKey { cert: chain, key: signing, ocsp };
        signing.keys_match().map_err(|_| {
            CertificateError::new(
                &files.key,
                format!("does not belong to the certificate in {}", files.cert.display()),
            )
        })?;
        Ok(Self { signing: Arc::new(signing), names, expires })
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

/// The file with the OCSP response of a certificate.
pub(super) fn ocsp_file(cert: &Path) -> PathBuf {
    let mut name = cert.as_os_str().to_owned();
    name.push(".ocsp");
    name.into()
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(CertificateError::new(
            file,
            "has no certificate; a PEM file with `-----BEGIN CERTIFICATE-----` is needed",
        )),
        Err(error) => Err(CertificateError::new(file, format!("is not a PEM file: {error}"))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let is_encrypted = memchr::memmem::find(&text, b"ENCRYPTED").is_some();
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

fn names_and_end(
    leaf: &CertificateDer<'_>,
    file: &Path,
) -> Result<(Vec<String>, SystemTime), CertificateError> {
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| CertificateError::new(file, "has a certificate that is not valid X.509"))?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    Ok((names.collect(), SystemTime::UNIX_EPOCH + Duration::from_secs(end)))
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed =
        |error: std::io::Error| CertificateError::new(file, format!("cannot be read: {error}"));
    let meta = std::fs::metadata(file).map_err(failed)?;
    if !meta.is_file() {
        return Err(CertificateError::new(file, "is not a file"));
    }
    if meta.len() > LARGEST {
        return Err(CertificateError::new(file, "is larger than 1 MiB"));
    }
    std::fs::read(file).map_err(failed)
}

#[cfg(test)]
#[path = "../../tests/unit/tls/certificate.rs"]
mod tests;
