//! What the orders of a front need, and what is known of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tracing::warn;

use super::held::Held;
use super::kept::{self, Kept};
use super::provisional;
use crate::config::{Acme, Config};
use crate::tls::certificate::{Certificate, CertificateError};
use crate::tls::challenges::Challenges;

/// The orders of a front.
#[derive(Debug)]
pub(in crate::tls) struct Keeper {
    pub(super) acme: Acme,
    pub(super) hosts: Vec<String>,
    pub(super) state_dir: PathBuf,
    /// The configuration has `redirect_http`.
    pub(super) redirects: bool,
    pub(super) challenges: Arc<Challenges>,
    held: Held,
    /// Why the last order failed.
    pub(super) failure: watch::Sender<Option<String>>,
}

impl Keeper {
    /// The keeper of a configuration. It begins with the certificates of `before`, because the disk may not
    /// have them; or with those of the last run.
    pub(in crate::tls) fn open(
        config: &Config,
        acme: &Acme,
        before: Option<&Self>,
        provider: &CryptoProvider,
    ) -> Result<Self, CertificateError> {
        let (hosts, state_dir) = (config.hosts(), config.server.state_dir.clone());
        let mut found = before.map(|before| before.held.now().to_vec()).unwrap_or_default();
        if found.is_empty() {
            found = kept::read(&state_dir, provider).unwrap_or_else(|error| {
                warn!(why = %error, "the certificate of the last run cannot be used");
                Vec::new()
            });
        }
        let now = SystemTime::now();
        found.retain(|one| one.certificate.expires > now);
        let provisional = provisional::certificate(&hosts, provider).map_err(|fault| {
            let why = format!("has a host that no certificate can have: {fault}");
            CertificateError::new(&config.path, why)
        })?;
        Ok(Self {
            acme: acme.clone(),
            held: Held::new(found, &hosts, provisional),
            hosts,
            state_dir,
            redirects: config.server.redirect_http.is_some(),
            challenges: Arc::default(),
            failure: watch::Sender::new(None),
        })
    }

    /// Whether a keeper of this configuration would do the same.
    pub(in crate::tls) fn is_of(&self, config: &Config, acme: &Acme) -> bool {
        self.acme == *acme
            && self.hosts == config.hosts()
            && self.redirects == config.server.redirect_http.is_some()
    }

    /// How long a host needs no other certificate.
    fn good_for(&self, host: &str, now: SystemTime) -> Duration {
        let held = self.held.now();
        let wanted = held.iter().filter(|one| one.directory == self.acme.directory);
        let pauses = wanted
            .filter(|one| one.certificate.is_for(host))
            .map(|one| one.certificate.renewal().duration_since(now).unwrap_or_default());
        pauses.max().unwrap_or_default()
    }

    /// How long no host needs another certificate.
    pub(super) fn until_due(&self, now: SystemTime) -> Duration {
        self.hosts.iter().map(|host| self.good_for(host, now)).min().unwrap_or_default()
    }

    /// The hosts that need another certificate now.
    pub(super) fn due(&self, now: SystemTime) -> Vec<String> {
        let due = self.hosts.iter().filter(|host| self.good_for(host, now).is_zero());
        due.cloned().collect()
    }

    /// A new certificate, and the others that are still needed with it.
    pub(super) fn with(&self, new: Kept) -> Vec<Arc<Kept>> {
        self.held.with(new, &self.hosts)
    }

    /// Holds these certificates from now on.
    pub(super) fn hold(&self, issued: Vec<Arc<Kept>>) {
        self.held.replace(issued, &self.hosts);
    }

    /// The certificates to serve.
    pub(in crate::tls) fn certificates(&self) -> Vec<Certificate> {
        self.held.certificates()
    }

    /// The certificates that the authority has issued: the newest first.
    pub(in crate::tls) fn issued(&self) -> Vec<Certificate> {
        self.held.now().iter().map(|one| one.certificate.clone()).collect()
    }

    /// The authority that people wait for, while there is no certificate for the host of `public_url`.
    pub(in crate::tls) fn awaited(&self) -> Option<&str> {
        self.held.is_provisional().then(|| authority(&self.acme.directory))
    }

    /// The answers to the checks of the authority.
    pub(in crate::tls) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// The hosts of the certificate.
    pub(in crate::tls) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Why the last order failed, and each further failure.
    pub(in crate::tls) fn failures(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }
}

/// The host of a directory, for people.
pub(super) fn authority(directory: &str) -> &str {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(authority, _)| authority)
}

#[cfg(test)]
#[path = "../../../tests/unit/tls/keeper.rs"]
mod tests;
