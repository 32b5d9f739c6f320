//! The certificate of the authority, which browsers are told to trust.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::constraints;

/// An authority that ends earlier is replaced: each of its certificates is valid for 30 days.
const NEEDED: Duration = Duration::from_hours(60 * 24);

/// The certificate of the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
}

impl Root {
    /// The certificate in the text of the authority's file, which has the private key as well.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----\n";
        let begin = text.find(BEGIN)?;
        let end = text[begin..].find(END)? + END.len();
        let pem = text[begin..begin + end].to_owned();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        Some(Self { pem, der })
    }

    /// As PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        let mut text = String::new();
        for byte in digest.as_ref() {
            let colon = if text.is_empty() { "" } else { ":" };
            let _ = write!(text, "{colon}{byte:02X}");
        }
        text
    }

    /// Why the authority cannot sign for these hosts.
    pub fn unusable(&self, hosts: &[String], now: SystemTime) -> Option<String> {
        let Some(parsed) = self.parsed() else {
            return Some("its certificate is damaged".to_owned());
        };
        if let Some(host) = constraints::refused(&parsed, hosts) {
            return Some(format!("it may not sign for {host}"));
        }
        let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end);
        (end < now + NEEDED).then(|| "it expires".to_owned())
    }

    pub(super) fn parsed(&self) -> Option<X509Certificate<'_>> {
        X509Certificate::from_der(&self.der).ok().map(|(_, parsed)| parsed)
    }
}
