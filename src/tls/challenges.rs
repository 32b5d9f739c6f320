//! What the authority must find at the appliance while it checks a host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use instant_acme::{ChallengeType, KeyAuthorization};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

/// The protocol of a check by TLS (RFC 8737).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";
/// The folder of the checks by http (RFC 8555 section 8.3).
const PATH: &str = "/.well-known/acme-challenge/";

/// The answers to the checks that are under way.
#[derive(Debug, Default)]
pub(super) struct Challenges(ArcSwap<Answers>);

#[derive(Debug, Clone, Default)]
struct Answers {
    /// By token.
    http: HashMap<String, String>,
    /// By the name in the handshake.
    tls: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    /// The text at a path, if it answers a check.
    pub(super) fn http(&self, path: &str) -> Option<String> {
        self.0.load().http.get(path.strip_prefix(PATH)?).cloned()
    }

    /// The certificate for the name in a handshake.
    pub(super) fn tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().tls.get(name).cloned()
    }

    /// Begins to answer a check. `None` for a kind of check that the appliance cannot answer.
    pub(super) fn offer(
        &self,
        kind: &ChallengeType,
        host: &str,
        token: &str,
        answer: &KeyAuthorization,
        provider: &CryptoProvider,
    ) -> Option<()> {
        let mut answers = Answers::clone(&self.0.load());
        match kind {
            ChallengeType::Http01 => {
                answers.http.insert(token.to_owned(), answer.as_str().to_owned());
            }
            ChallengeType::TlsAlpn01 => {
                let certificate = certificate(host, answer.digest().as_ref(), provider)?;
                answers.tls.insert(asked_for(host), Arc::new(certificate));
            }
            _ => return None,
        }
        self.0.store(Arc::new(answers));
        Some(())
    }

    /// Answers no check any more.
    pub(super) fn clear(&self) {
        self.0.store(Arc::default());
    }
}

/// The name that the handshake of a check of this host has: an address has one as well (RFC 8738
/// section 6).
fn asked_for(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let digits = format!("{:032x}", address.to_bits());
            let reversed = digits.chars().rev().flat_map(|digit| [digit, '.']);
            reversed.chain("ip6.arpa".chars()).collect()
        }
        Err(_) => host.to_owned(),
    }
}

/// The certificate that proves by its extension that the appliance has the key of the account.
fn certificate(host: &str, digest: &[u8], provider: &CryptoProvider) -> Option<CertifiedKey> {
    let key = KeyPair::generate().ok()?;
    let mut params = CertificateParams::new([host.to_owned()]).ok()?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).ok()?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = provider.key_provider.load_private_key(key.into()).ok()?;
    Some(CertifiedKey::new(vec![certificate.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    #[test]
    fn a_check_by_http_is_answered_at_its_path_only() {
        let answers = Answers {
            http: HashMap::from([("token".to_owned(), "token.key".to_owned())]),
            tls: HashMap::new(),
        };
        let challenges = Challenges(ArcSwap::from_pointee(answers));
        for (path, answer) in [
            ("/.well-known/acme-challenge/token", Some("token.key")),
            ("/.well-known/acme-challenge/other", None),
            ("/.well-known/acme-challenge/", None),
            ("/token", None),
        ] {
            assert_eq!(challenges.http(path).as_deref(), answer, "{path}");
        }
        challenges.clear();
        assert_eq!(challenges.http("/.well-known/acme-challenge/token"), None);
    }

    #[test]
    fn a_check_asks_for_a_name_also_of_an_address() {
        for (host, name) in [
            ("apps.example", "apps.example"),
            ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
            (
                "2001:db8::7",
                "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            assert_eq!(asked_for(host), name);
        }
    }

    #[test]
    fn the_certificate_of_a_check_has_the_digest_and_the_host() {
        let found = certificate("apps.example", &[7; 32], &default_provider()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&found.cert[0]).unwrap();
        let extension =
            parsed.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31");
        let extension = extension.unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value, [&[4, 32][..], &[7; 32]].concat());
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        assert!(format!("{names:?}").contains("DNSName(\"apps.example\")"), "{names:?}");
    }
}
