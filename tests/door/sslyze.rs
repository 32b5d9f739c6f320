//! [SSLyze](https://github.com/nabla-c0d3/sslyze) against the listener with TLS.

use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::Value;

use crate::harness::{Appliance, eventually};
use crate::tool;

/// What the appliance may accept, by the names of the standards. Mozilla's "intermediate" names the same
/// ones; a certificate with a key for RSA would add three.
const CIPHER_SUITES: [(&str, &[&str]); 2] = [
    (
        "tls_1_2_cipher_suites",
        &[
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ],
    ),
    (
        "tls_1_3_cipher_suites",
        &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
    ),
];

/// Writes a root, and the chain and the key of a certificate for `localhost`.
pub(crate) fn chain(folder: &Path) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params
    };
    let key = || KeyPair::generate().unwrap();
    let root = CertifiedIssuer::self_signed(authority("root"), key()).unwrap();
    let between = CertifiedIssuer::signed_by(authority("intermediate"), key(), &root).unwrap();
    let mut leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    leaf.not_before = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    leaf.not_after = leaf.not_before + time::Duration::days(90);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = key();
    let leaf = leaf.signed_by(&leaf_key, &between).unwrap();
    std::fs::write(folder.join("root.pem"), root.pem()).unwrap();
    std::fs::write(folder.join("chain.pem"), [leaf.pem(), between.pem()].concat()).unwrap();
    std::fs::write(folder.join("chain.key"), leaf_key.serialize_pem()).unwrap();
}

/// The `[server]` table of an appliance with this certificate.
pub(crate) const SERVER: &str = "[server]\nlisten = \"127.0.0.1:{PORT}\"\n\
     public_url = \"https://localhost:{PORT}\"\nstate_dir = \"{STATE}/state\"\n\
     tls = { cert = \"chain.pem\", key = \"chain.key\" }\n";

/// Waits until the appliance accepts connections.
pub(crate) async fn listens(appliance: &Appliance) {
    eventually("https", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()
    })
    .await;
}

#[tokio::test]
async fn sslyze_finds_no_weakness() {
    let app = "[apps.a]\nupstream = \"http://127.0.0.1:9\"\npath = \"/a\"\naccess = \"public\"\n";
    let appliance = Appliance::start_with_in(chain, &format!("{SERVER}{app}"));
    listens(&appliance).await;
    let report = appliance.path("sslyze.json");
    let output = Command::new(tool("sslyze/bin/sslyze"))
        .arg(format!("--json_out={}", report.display()))
        .arg(format!("--certinfo_ca_file={}", appliance.path("root.pem").display()))
        .args(["--mozilla_config=intermediate", "--resum", "--early_data", "--certinfo"])
        .args(["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3"])
        .args(["--reneg", "--compression", "--heartbleed", "--robot", "--openssl_ccs"])
        .args(["--fallback", "--elliptic_curves", "--ems"])
        .arg(format!("localhost:{}", appliance.port))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("OK - Compliant"), "{text}");
    assert!(output.status.success(), "{text}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let scans = &report["server_scan_results"][0]["scan_result"];
    let found = |scan: &str| {
        assert_eq!(scans[scan]["status"], "COMPLETED", "{scan}: {}", scans[scan]);
        scans[scan]["result"].clone()
    };
    judge_protocols(&found);
    for (scan, key, wanted) in [
        ("tls_compression", "supports_compression", Value::Bool(false)),
        ("tls_1_3_early_data", "supports_early_data", Value::Bool(false)),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", Value::Bool(false)),
        ("tls_fallback_scsv", "supports_fallback_scsv", Value::Bool(true)),
        ("heartbleed", "is_vulnerable_to_heartbleed", Value::Bool(false)),
        ("robot", "robot_result", "NOT_VULNERABLE_RSA_NOT_SUPPORTED".into()),
        ("session_renegotiation", "supports_secure_renegotiation", Value::Bool(true)),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", Value::Bool(false)),
        ("session_resumption", "session_id_resumption_result", "FULLY_SUPPORTED".into()),
        ("tls_extended_master_secret", "supports_ems_extension", Value::Bool(true)),
    ] {
        assert_eq!(found(scan)[key], wanted, "{scan}: {}", found(scan));
    }
    judge_certificate(&found("certificate_info"));
}

fn judge_protocols(found: &impl Fn(&str) -> Value) {
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let suites = found(&format!("{old}_cipher_suites"));
        assert_eq!(suites["is_tls_version_supported"], false, "{old}: {suites}");
    }
    for (scan, allowed) in CIPHER_SUITES {
        let suites = found(scan)["accepted_cipher_suites"].clone();
        let names = suites.as_array().unwrap().iter();
        let mut names: Vec<_> =
            names.map(|one| one["cipher_suite"]["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, allowed, "{scan}");
    }
}

fn judge_certificate(found: &Value) {
    let deployments = found["certificate_deployments"].as_array().unwrap();
    assert_eq!(deployments.len(), 1, "{found}");
    let deployment = &deployments[0];
    assert_eq!(deployment["received_certificate_chain"].as_array().unwrap().len(), 2);
    assert_eq!(deployment["received_chain_has_valid_order"], true, "{deployment}");
    assert_eq!(deployment["received_chain_contains_anchor_certificate"], false, "{deployment}");
    let paths = deployment["path_validation_results"].as_array().unwrap();
    let supplied = paths.iter().find(|one| one["trust_store"]["name"] == "Supplied CA file");
    assert_eq!(supplied.unwrap()["was_validation_successful"], true, "{supplied:?}");
}
