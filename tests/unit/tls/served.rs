use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls::crypto::ring::default_provider;

use super::*;
use crate::tls::authority::write;

#[test]
fn the_name_chooses_among_the_certificates_that_the_client_can_verify() {
    const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    const ED25519: SignatureScheme = SignatureScheme::ED25519;
    let folder = tempfile::tempdir().unwrap();
    let certificates: Vec<_> = [
        ("first", &["first.example"][..], &PKCS_ECDSA_P256_SHA256),
        ("second", &["second.example", "both.example"], &PKCS_ECDSA_P256_SHA256),
        ("modern", &["both.example", "*.wild.example"], &PKCS_ED25519),
    ]
    .map(|(name, names, kind)| {
        let files = write(folder.path(), name, names, kind, 30);
        Certificate::read(&files, &default_provider()).unwrap()
    })
    .into();
    for (name, schemes, chosen) in [
        (Some("second.example"), &[ECDSA][..], 1),
        (Some("both.example"), &[ECDSA], 1),
        (Some("both.example"), &[ED25519], 2),
        (Some("a.wild.example"), &[ED25519, ECDSA], 2),
        (Some("unknown.example"), &[ECDSA, ED25519], 0),
        (Some("second.example"), &[ED25519], 2),
        (Some("second.example"), &[SignatureScheme::RSA_PSS_SHA256], 0),
        (None, &[ECDSA, ED25519], 0),
    ] {
        let found = choose(&certificates, name, schemes).unwrap();
        assert!(std::ptr::eq(found, &raw const certificates[chosen]), "{name:?} {schemes:?}");
    }
    assert!(choose(&[], None, &[ECDSA]).is_none());
}
