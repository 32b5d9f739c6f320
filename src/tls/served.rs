//! The certificates that are served, and which of them a client is shown.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::challenges::{ACME_TLS, Challenges};

/// The certificates that are served.
#[derive(Debug)]
pub(super) struct Served {
    certificates: ArcSwap<Vec<Certificate>>,
    /// The answers to checks by TLS, where an authority checks the hosts.
    challenges: Option<Arc<Challenges>>,
}

impl Served {
    pub(super) fn new(certificates: Vec<Certificate>, challenges: Option<Arc<Challenges>>) -> Self {
        Self { certificates: ArcSwap::from_pointee(certificates), challenges }
    }

    /// The next handshake uses these.
    pub(super) fn replace(&self, certificates: Vec<Certificate>) {
        self.certificates.store(Arc::new(certificates));
    }

    pub(super) fn now(&self) -> Arc<Vec<Certificate>> {
        self.certificates.load_full()
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An authority that checks the host speaks nothing else (RFC 8737 section 3).
        if hello.alpn().is_some_and(|mut offered| offered.all(|one| one == ACME_TLS)) {
            return self.challenges.as_ref()?.tls(hello.server_name()?);
        }
        let certificates = self.certificates.load();
        choose(&certificates, hello.server_name(), hello.signature_schemes())
            .map(|chosen| Arc::clone(&chosen.signing))
    }
}

/// The certificate for a name: one whose key the client can verify, before one that has the name, before
/// the first. `name` comes from rustls in lower case.
fn choose<'c>(
    certificates: &'c [Certificate],
    name: Option<&str>,
    schemes: &[SignatureScheme],
) -> Option<&'c Certificate> {
    let is_usable = |one: &&Certificate| one.signing.key.choose_scheme(schemes).is_some();
    let is_for = |one: &&Certificate| name.is_some_and(|name| one.is_for(name));
    let usable = || certificates.iter().filter(is_usable);
    usable().find(is_for).or_else(|| usable().next()).or_else(|| certificates.first())
}

#[cfg(test)]
#[path = "../../tests/unit/tls/served.rs"]
mod tests;
