//! Certificates for the tests.

use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

use crate::config::CertificateFiles;

/// Writes a certificate for the names, and its key, as `NAME.pem` and `NAME.key`. `days` is how long it
/// is valid.
pub(super) fn write(
    folder: &Path,
    name: &str,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
    days: u64,
) -> CertificateFiles {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = time::OffsetDateTime::now_utc() - Duration::from_hours(48);
    params.not_after = params.not_before + Duration::from_hours(48 + days * 24);
    let cert = params.self_signed(&key).unwrap();
    let files = CertificateFiles {
        cert: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    std::fs::write(&files.cert, cert.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}
