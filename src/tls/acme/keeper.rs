//! What the orders of a front need, and what is known of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use tokio::sync::watch;
use tracing::warn;

use super::{kept, provisional};
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
    /// The certificate that is served was ordered from this directory; `None`: it is provisional.
    pub(super) directory: watch::Sender<Option<String>>,
    /// Why the last order failed.
    pub(super) failure: watch::Sender<Option<String>>,
}

impl Keeper {
    /// The keeper of a configuration, and the certificate to begin with: that of the last run, or a
    /// provisional one.
    pub(in crate::tls) fn open(
        config: &Config,
        acme: &Acme,
        provider: &CryptoProvider,
    ) -> Result<(Self, Certificate), CertificateError> {
        let (hosts, state_dir) = (config.hosts(), config.server.state_dir.clone());
        let kept = kept::read(&state_dir, provider).unwrap_or_else(|error| {
            warn!(why = %error, "the certificate of the last run cannot be used");
            None
        });
        let now = SystemTime::now();
        let is_usable = |one: &Certificate| one.expires > now && one.is_for(&hosts[0]);
        let (directory, certificate) = match kept {
            Some(kept) if is_usable(&kept.certificate) => (Some(kept.directory), kept.certificate),
            _ => {
                let made = provisional::certificate(&hosts, provider);
                let made = made.map_err(|fault| {
                    CertificateError::new(
                        &config.path,
                        format!("has a host that no certificate can have: {fault}"),
                    )
                })?;
                (None, made)
            }
        };
        let keeper = Self {
            acme: acme.clone(),
            hosts,
            state_dir,
            redirects: config.server.redirect_http.is_some(),
            challenges: Arc::default(),
            directory: watch::Sender::new(directory),
            failure: watch::Sender::new(None),
        };
        Ok((keeper, certificate))
    }

    /// Whether a keeper of this configuration would do the same.
    pub(in crate::tls) fn is_of(&self, config: &Config, acme: &Acme) -> bool {
        self.acme == *acme
            && self.hosts == config.hosts()
            && self.redirects == config.server.redirect_http.is_some()
    }

    /// How long no other certificate is needed in place of the one that is served.
    pub(super) fn until_due(&self, served: &Certificate, now: SystemTime) -> Duration {
        let is_wanted = self.directory.borrow().as_deref() == Some(self.acme.directory.as_str())
            && self.hosts.iter().all(|host| served.is_for(host));
        if !is_wanted {
            return Duration::ZERO;
        }
        served.renewal().duration_since(now).unwrap_or_default()
    }

    /// The authority that people wait for, while there is no certificate.
    pub(in crate::tls) fn awaited(&self) -> Option<&str> {
        self.directory.borrow().is_none().then(|| authority(&self.acme.directory))
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
