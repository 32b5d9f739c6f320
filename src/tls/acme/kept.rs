//! The certificates with their keys, kept in `state_dir` in one file, so that each changes together with its
//! key.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::ownership::own_file;
use crate::config::reserved::ACME_CERTIFICATE;
use crate::tls::certificate::{Certificate, CertificateError};

/// Begins the line with the directory of the authority, above the PEM blocks of each certificate.
const DIRECTORY: &str = "directory ";

/// A certificate and where it comes from.
pub(super) struct Kept {
    pub(super) directory: String,
    pub(super) certificate: Certificate,
    /// Its part of the file, with the private key.
    text: String,
}

impl Kept {
    /// A certificate with its key, both as PEM. `None` if they do not belong together.
    pub(super) fn new(
        directory: &str,
        key: &str,
        chain: &str,
        provider: &CryptoProvider,
    ) -> Option<Self> {
        Self::parse(format!("{DIRECTORY}{directory}\n{key}{chain}"), provider)
    }

    fn parse(text: String, provider: &CryptoProvider) -> Option<Self> {
        let directory = text.lines().next()?.strip_prefix(DIRECTORY)?.to_owned();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
        let certificate = Certificate::of(chain.ok()?, key, provider).ok()?;
        Some(Self { directory, certificate, text })
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("names", &self.certificate.names).finish_non_exhaustive()
    }
}

/// The kept certificates, in the order in which they were written; none if there is no file.
pub(super) fn read(
    state_dir: &Path,
    provider: &CryptoProvider,
) -> Result<Vec<Arc<Kept>>, CertificateError> {
    let path = state_dir.join(ACME_CERTIFICATE);
    let text = match own_file::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CertificateError::new(&path, format!("cannot be read: {error}"))),
    };
    let parts = parts(&text).into_iter().map(|part| Kept::parse(part, provider).map(Arc::new));
    let found: Option<Vec<_>> = parts.collect();
    found.filter(|found| !found.is_empty()).ok_or_else(|| {
        CertificateError::new(
            &path,
            "has no certificate with its key; remove the file, and a new certificate is ordered",
        )
    })
}

/// The text of each certificate.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        match parts.last_mut() {
            Some(part) if !line.starts_with(DIRECTORY) => {
                part.push_str(line);
                part.push('\n');
            }
            _ => parts.push(format!("{line}\n")),
        }
    }
    parts
}

/// The text of a file with these certificates.
pub(super) fn text(kept: &[Arc<Kept>]) -> String {
    kept.iter().map(|one| one.text.as_str()).collect()
}

pub(super) fn write(state_dir: &Path, text: &str) -> io::Result<()> {
    own_file::replace(&state_dir.join(ACME_CERTIFICATE), text)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring::default_provider;

    use super::*;

    fn made(host: &str, directory: &str) -> (Arc<Kept>, String) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new([host.to_owned()]).unwrap().self_signed(&key).unwrap();
        let key = key.serialize_pem();
        let kept = Kept::new(directory, &key, &cert.pem(), &default_provider()).unwrap();
        (Arc::new(kept), key)
    }

    #[test]
    fn the_file_holds_what_was_written_or_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let read = || super::read(folder.path(), &default_provider());
        assert!(read().unwrap().is_empty());
        let (one, key) = made("a.example", "https://ca.example/dir");
        let (two, other) = made("b.example", "https://other.example/dir");
        write(folder.path(), &text(&[Arc::clone(&one), two])).unwrap();
        let found = read().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.directory.as_str(), one.certificate.names[0].as_str()))
            .collect();
        let wanted =
            [("https://ca.example/dir", "a.example"), ("https://other.example/dir", "b.example")];
        assert_eq!(found, wanted);
        assert!(!format!("{one:?}").contains("PRIVATE"), "{one:?}");
        let text = text(&[one]);
        for damaged in [
            "",
            "directory x\n",
            &text[10..],
            &text.replace(&key, &other),
            &format!("{text}directory x\n"),
        ] {
            write(folder.path(), damaged).unwrap();
            let error = read().unwrap_err().to_string();
            assert!(error.contains("acme.key has no certificate with its key; remove"), "{error}");
        }
    }
}
