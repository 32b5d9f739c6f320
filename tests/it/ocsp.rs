//! The OCSP response beside a certificate, and links in the folder of the certificate.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::unistd::geteuid;
use rcgen::{CertificateParams, KeyPair, SerialNumber};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{Appliance, eventually};

/// The owner of the certificate's folder, as of an app that renews it.
const NOBODY: u32 = 65534;
const SERIAL: &[u8] = &[0x42, 0x43];

/// Accepts every certificate, and keeps the OCSP response.
#[derive(Debug, Default)]
struct Client {
    response: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Client {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.response.lock().unwrap() = response.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// The OCSP response of a handshake, empty if there is none.
async fn response(appliance: &Appliance) -> Option<Vec<u8>> {
    let client = Arc::new(Client::default());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(client.clone())
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.ok()?;
    let response = client.response.lock().unwrap().clone();
    Some(response)
}

/// An element of DER of up to 127 bytes.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
}

/// A response that says that the certificate with this serial number is good.
fn made(serial: &[u8]) -> Vec<u8> {
    let (time, hash) = (der(0x18, &[b"20200101000000Z"]), der(0x04, &[&[7; 4]]));
    let algorithm = der(0x30, &[&der(0x06, &[&[0x2a, 0x03]])]);
    let id = der(0x30, &[&algorithm, &hash, &hash, &der(0x02, &[serial])]);
    let single = der(0x30, &[&id, &der(0x80, &[]), &time]);
    let data = der(0x30, &[&der(0xa2, &[&hash]), &time, &der(0x30, &[&single])]);
    let basic = der(0x30, &[&data, &algorithm, &der(0x03, &[&[0, 1]])]);
    let kind = der(0x06, &[&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01]]);
    let bytes = der(0xa0, &[&der(0x30, &[&kind, &der(0x04, &[&basic])])]);
    der(0x30, &[&der(0x0a, &[&[0]]), &bytes])
}

fn certificate(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from_slice(SERIAL));
    let cert = params.self_signed(&key).unwrap();
    fs::create_dir_all(folder.join("tls")).unwrap();
    fs::write(folder.join("tls/a.key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("tls/a.pem"), cert.pem()).unwrap();
    fs::write(folder.join("tls/a.pem.ocsp"), made(SERIAL)).unwrap();
    fs::write(folder.join("secret"), "only root may read this").unwrap();
    fs::write(folder.join("root.pem"), cert.pem()).unwrap();
    if geteuid().is_root() {
        lchown(folder.join("tls"), Some(NOBODY), None).unwrap();
    }
}

/// Puts a link of the folder's owner in place of a file.
fn link(appliance: &Appliance, target: &str, name: &str) {
    let path = appliance.path(name);
    fs::remove_file(&path).unwrap();
    symlink(target, &path).unwrap();
    if geteuid().is_root() {
        lchown(&path, Some(NOBODY), None).unwrap();
    }
}

#[tokio::test]
async fn only_a_response_for_the_certificate_is_sent_whatever_is_linked_there() {
    let config = "[server]\nlisten = \"127.0.0.1:{PORT}\"\npublic_url = \"https://localhost:{PORT}\"\n\
         state_dir = \"{DIR}/state\"\ntls = { cert = \"tls/a.pem\", key = \"tls/a.key\" }\n\
         [apps.a]\nupstream = \"http://127.0.0.1:9\"\npath = \"/a\"\naccess = \"public\"\n";
    let appliance = Appliance::start_with_in(certificate, config);
    let said = |what: &str| appliance.log().contains(what).then_some(());
    let first = eventually("https", async || response(&appliance).await).await;
    assert_eq!(first, made(SERIAL));

    link(&appliance, "../secret", "tls/a.pem.ocsp");
    let none = async || response(&appliance).await.filter(Vec::is_empty).map(drop);
    eventually("no response", none).await;
    let not_sent = "an OCSP response is not sent, TLS goes on without it";
    eventually("a warning", async || said(not_sent)).await;
    let why = if geteuid().is_root() {
        "a.pem.ocsp cannot be read: a link of uid 65534 leads to what belongs to another user"
    } else {
        "a.pem.ocsp is no OCSP response"
    };
    appliance.logs(why).await;
    let output = appliance.cli(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(appliance.log().matches(not_sent).count(), 1, "{}", appliance.log());

    fs::remove_file(appliance.path("tls/a.pem.ocsp")).unwrap();
    fs::write(appliance.path("tls/a.pem.ocsp"), made(&[1])).unwrap();
    eventually("a warning", async || said("a.pem.ocsp is for another certificate")).await;
    fs::write(appliance.path("tls/a.pem.ocsp"), made(SERIAL)).unwrap();
    let sent = async || response(&appliance).await.filter(|found| !found.is_empty());
    assert_eq!(eventually("the response again", sent).await, made(SERIAL));

    if geteuid().is_root() {
        link(&appliance, "../root.pem", "tls/a.pem");
        let refused = "a.pem cannot be read: a link of uid 65534 leads to what belongs to another";
        eventually("an error", async || said(refused)).await;
        assert!(response(&appliance).await.is_some());
    }
}
