//! The certificates that the authority has issued and that are still needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::kept::Kept;
use crate::tls::certificate::Certificate;

/// What is served.
#[derive(Debug)]
pub(super) struct Held {
    /// The newest one first: it is chosen for its names.
    issued: ArcSwap<Vec<Arc<Kept>>>,
    /// For all hosts. Served while there is no other one for the first host, that of `public_url`.
    provisional: Certificate,
    is_provisional: AtomicBool,
}

impl Held {
    /// `hosts` is not empty.
    pub(super) fn new(found: Vec<Arc<Kept>>, hosts: &[String], provisional: Certificate) -> Self {
        let issued = needed(found, hosts);
        let is_provisional = AtomicBool::new(!has_first(&issued, hosts));
        Self { issued: ArcSwap::from_pointee(issued), provisional, is_provisional }
    }

    /// What is needed with a new one.
    pub(super) fn with(&self, new: Kept, hosts: &[String]) -> Vec<Arc<Kept>> {
        let mut all = vec![Arc::new(new)];
        all.extend(self.issued.load().iter().cloned());
        needed(all, hosts)
    }

    /// Replaces all.
    pub(super) fn replace(&self, issued: Vec<Arc<Kept>>, hosts: &[String]) {
        self.is_provisional.store(!has_first(&issued, hosts), Ordering::Release);
        self.issued.store(Arc::new(issued));
    }

    pub(super) fn now(&self) -> Arc<Vec<Arc<Kept>>> {
        self.issued.load_full()
    }

    pub(super) fn is_provisional(&self) -> bool {
        self.is_provisional.load(Ordering::Acquire)
    }

    /// All that are served.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let issued = self.issued.load();
        let issued = issued.iter().map(|one| &one.certificate);
        let provisional = self.is_provisional().then_some(&self.provisional);
        issued.chain(provisional).cloned().collect()
    }
}

fn has_first(issued: &[Arc<Kept>], hosts: &[String]) -> bool {
    hosts.first().is_some_and(|first| issued.iter().any(|one| one.certificate.is_for(first)))
}

/// Those that have a host that none before has. At most one for each host.
fn needed(all: Vec<Arc<Kept>>, hosts: &[String]) -> Vec<Arc<Kept>> {
    let mut without: Vec<_> = hosts.iter().collect();
    let is_needed = |one: &Arc<Kept>| {
        let before = without.len();
        without.retain(|host| !one.certificate.is_for(host));
        without.len() < before
    };
    all.into_iter().filter(is_needed).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring::default_provider;

    use super::*;
    use crate::tls::acme::provisional;

    fn issued(names: &[&str]) -> Kept {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let chain = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        Kept::new("https://ca.example/dir", &key, &chain, &default_provider()).unwrap()
    }

    /// What each new certificate has, and the names of all that are served then.
    #[test]
    fn a_new_certificate_replaces_those_whose_hosts_it_has() {
        let hosts = ["a", "b", "c"].map(str::to_owned);
        let provisional = provisional::certificate(&hosts, &default_provider()).unwrap();
        let held = Held::new(Vec::new(), &hosts, provisional);
        let mut is_provisional = true;
        for (names, served) in [
            (&["b"][..], &["b", "a b c"][..]),
            (&["x"], &["b", "a b c"]),
            (&["a", "b"], &["a b"]),
            (&["a"], &["a", "a b"]),
            (&["c"], &["c", "a", "a b"]),
            (&["b"], &["b", "c", "a"]),
            (&["a", "b", "c"], &["a b c"]),
        ] {
            assert_eq!(held.is_provisional(), is_provisional, "{names:?}");
            held.replace(held.with(issued(names), &hosts), &hosts);
            let found: Vec<_> = held.certificates().iter().map(|one| one.names.join(" ")).collect();
            assert_eq!(found, served, "{names:?}");
            is_provisional &= !names.contains(&"a");
        }
    }
}
