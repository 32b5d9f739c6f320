use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::crypto::ring::default_provider;

use super::*;
use crate::tls::authority::write;
use crate::tls::ocsp::tests::response_for;

#[test]
fn a_certificate_has_its_names_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let files =
            write(folder.path(), "a", &["Apps.Example.org", "*.example.com"], algorithm, 30);
        let found = Certificate::read(&files, &default_provider()).unwrap();
        assert_eq!(found.names, ["apps.example.org", "*.example.com"]);
        let left = found.expires.duration_since(SystemTime::now()).unwrap();
        let days = Duration::from_hours(24);
        assert!(left > days * 28 && left < days * 31, "{left:?}");
        assert_eq!(found.signing.ocsp, None);
        for (name, is_for) in [
            ("apps.example.org", true),
            ("example.org", false),
            ("x.apps.example.org", false),
            ("a.example.com", true),
            ("example.com", false),
            ("a.b.example.com", false),
        ] {
            assert_eq!(found.is_for(name), is_for, "{name}");
        }
    }
}

#[test]
fn an_ocsp_response_beside_the_certificate_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "a", &["a.example"], &PKCS_ECDSA_P256_SHA256, 30);
    let beside = folder.path().join("a.pem.ocsp");
    let found = || Certificate::read(&files, &default_provider()).unwrap();
    let serial = {
        let chain = found().signing.cert.clone();
        X509Certificate::from_der(&chain[0]).unwrap().1.raw_serial().to_vec()
    };
    let response = response_for(&serial);
    std::fs::write(&beside, &response).unwrap();
    assert_eq!(found().signing.ocsp, Some(response));
    assert_eq!(found().unsent, None);
    assert!(!found().has_ended_response(SystemTime::now()));
    assert!(found().has_ended_response(SystemTime::now() + Duration::from_hours(24 * 365_000)));
    std::fs::write(&beside, "").unwrap();
    assert_eq!((found().signing.ocsp.clone(), found().unsent), (None, None));
}

#[test]
fn what_is_no_response_for_the_certificate_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), "a", &["a.example"], &PKCS_ECDSA_P256_SHA256, 30);
    let beside = folder.path().join("a.pem.ocsp");
    for (content, why) in [
        (b"a secret".to_vec(), "a.pem.ocsp is no OCSP response; "),
        (response_for(&[1]), "a.pem.ocsp is for another certificate; "),
    ] {
        std::fs::write(&beside, &content).unwrap();
        let found = || Certificate::read(&files, &default_provider()).unwrap();
        assert_eq!(found().signing.ocsp, None);
        let unsent = found().unsent.unwrap();
        assert!(unsent.why.contains(why), "{unsent:?}");
        assert_eq!(found().unsent.unwrap(), unsent, "it is told once");
    }
    std::fs::remove_file(&beside).unwrap();
    std::os::unix::fs::symlink("missing", &beside).unwrap();
    let found = Certificate::read(&files, &default_provider()).unwrap();
    assert!(found.unsent.unwrap().why.contains("a.pem.ocsp cannot be read"));
}

#[test]
fn what_cannot_be_served_names_the_file_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good", &["a.example"], &PKCS_ECDSA_P256_SHA256, 30);
    let other = write(folder.path(), "other", &["a.example"], &PKCS_ECDSA_P256_SHA256, 30);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let secret = "c2VjcmV0IGtleSBtYXRlcmlhbA";
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{secret}==\n-----END {label}-----\n");
    let with = |cert: &Path, key: &Path| CertificateFiles { cert: cert.into(), key: key.into() };
    for (files, wanted) in [
        (with(&folder.path().join("gone.pem"), &good.key), "gone.pem cannot be read: No such file"),
        (with(folder.path(), &good.key), " is not a file"),
        (with(&file("empty.pem", ""), &good.key), "empty.pem has no certificate"),
        (with(&good.key, &good.key), "good.key has no certificate"),
        (
            with(&file("noise.pem", &pem("CERTIFICATE")), &good.key),
            "noise.pem has a certificate that is not valid",
        ),
        (with(&good.cert, &folder.path().join("gone.key")), "gone.key cannot be read"),
        (with(&good.cert, &good.cert), "good.pem has no private key"),
        (with(&good.cert, &other.key), "other.key does not belong to the certificate in "),
        (
            with(&good.cert, &file("noise.key", &pem("PRIVATE KEY"))),
            "noise.key has a private key of a kind",
        ),
        (
            with(
                &good.cert,
                &file("bad.key", "-----BEGIN PRIVATE KEY-----\n!!c2VjcmV0IGtleSBtYXRlcmlhbA==\n"),
            ),
            "bad.key is not a PEM file",
        ),
        (
            with(&good.cert, &file("sealed.key", &pem("ENCRYPTED PRIVATE KEY"))),
            "sealed.key has an encrypted private key",
        ),
    ] {
        let error = Certificate::read(&files, &default_provider()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error} / {wanted}");
        assert!(!error.contains(secret), "{error}");
    }
}
