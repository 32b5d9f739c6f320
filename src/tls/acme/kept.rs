//! The newest certificate with its key, kept in `state_dir` in one file, so that both change together.

use std::io;
use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::ownership::own_file;
use crate::config::reserved::ACME_CERTIFICATE;
use crate::tls::certificate::{Certificate, CertificateError};

/// Begins the line with the directory of the authority, above the PEM blocks.
const DIRECTORY: &str = "directory ";

/// A certificate and where it comes from.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) directory: String,
    pub(super) certificate: Certificate,
}

/// The kept certificate; `None` if there is none.
pub(super) fn read(
    state_dir: &Path,
    provider: &CryptoProvider,
) -> Result<Option<Kept>, CertificateError> {
    let path = state_dir.join(ACME_CERTIFICATE);
    let text = match own_file::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CertificateError::new(&path, format!("cannot be read: {error}"))),
    };
    parse(&text, provider).map(Some).ok_or_else(|| {
        CertificateError::new(
            &path,
            "has no certificate with its key; remove the file, and a new certificate is ordered",
        )
    })
}

/// The certificate in the text of the file.
pub(super) fn parse(text: &str, provider: &CryptoProvider) -> Option<Kept> {
    let directory = text.lines().next()?.strip_prefix(DIRECTORY)?.to_owned();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
    let certificate = Certificate::of(chain.ok()?, key, provider).ok()?;
    Some(Kept { directory, certificate })
}

/// The text of the file.
pub(super) fn text(directory: &str, key: &str, chain: &str) -> String {
    format!("{DIRECTORY}{directory}\n{key}{chain}")
}

pub(super) fn write(state_dir: &Path, text: &str) -> io::Result<()> {
    own_file::replace(&state_dir.join(ACME_CERTIFICATE), text)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring::default_provider;

    use super::*;

    #[test]
    fn the_file_holds_what_was_written_or_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let read = || super::read(folder.path(), &default_provider());
        assert!(read().unwrap().is_none());
        let key = KeyPair::generate().unwrap();
        let cert =
            CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let text = text("https://ca.example/dir", &key.serialize_pem(), &cert.pem());
        write(folder.path(), &text).unwrap();
        let found = read().unwrap().unwrap();
        assert_eq!(found.directory, "https://ca.example/dir");
        assert_eq!(found.certificate.names, ["a.example"]);
        let other = KeyPair::generate().unwrap().serialize_pem();
        for damaged in
            ["", "directory x\n", &text[10..], &text.replace(&key.serialize_pem(), &other)]
        {
            write(folder.path(), damaged).unwrap();
            let error = read().unwrap_err().to_string();
            assert!(error.contains("acme.key has no certificate with its key; remove"), "{error}");
        }
    }
}
