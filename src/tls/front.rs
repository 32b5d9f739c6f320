//! TLS as the listeners use it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use tokio::sync::watch;
use tracing::{info, warn};

use super::acme::{self, Keeper, roots};
use super::certificate::{Certificate, CertificateError};
use super::challenges::ACME_TLS;
use super::own_ca::{Opened, OwnCa, Root};
use super::served::Served;
use super::stamp::{Stamps, stamps};
use crate::config::{Acme, CertificateFiles, Config, Server, Tls};

/// A certificate that is valid for less than this has to be renewed now.
const SOON: Duration = Duration::from_hours(14 * 24);

/// The name of HTTP/2 in ALPN (RFC 9113 section 3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

/// The settings of TLS for new connections, with the certificates.
#[derive(Debug)]
pub struct Front {
    settings: Arc<ServerConfig>,
    served: Arc<Served>,
    source: Source,
}

/// Where the certificates come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Files that something else renews, and what they were when they were first read.
    Files { files: Vec<CertificateFiles>, seen: Stamps },
    /// The appliance's own authority, which signs for these hosts.
    OwnCa { ca: Box<OwnCa>, hosts: Vec<String> },
    /// An authority that is asked by ACME.
    Acme(Box<Keeper>),
}

impl Front {
    /// Reads or makes the certificates. `None` if the configuration has no TLS. TLS sessions of `before`
    /// can be resumed.
    ///
    /// # Errors
    /// A file cannot be read or written, or a private key does not belong to its certificate.
    pub fn open(
        config: &Config,
        before: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let protocols = protocols(&config.server);
        let (source, certificates) = match &config.server.tls {
            None => return Ok(None),
            Some(Tls::Files(files)) => {
                // Before the files are read: a change meanwhile is seen by the next look.
                let seen = stamps(files);
                let certificates = read(files, &provider)?;
                let known = before.map(|before| before.served.now());
                warn_of_unsent(&certificates, known.as_deref());
                (Source::Files { files: files.clone(), seen }, certificates)
            }
            Some(Tls::Internal) => {
                let (hosts, now) = (config.hosts(), SystemTime::now());
                let (ca, opened) = OwnCa::open(&config.server.state_dir, &hosts, now)?;
                tell(&ca, &opened, &hosts);
                let is_same = |before: &&Arc<Self>| {
                    before.is_of(&ca, &hosts) && before.settings.alpn_protocols == protocols
                };
                if let Some(before) = before.filter(is_same) {
                    return Ok(Some(Arc::clone(before)));
                }
                let certificate = ca.issue(&hosts, now, &provider)?;
                (Source::OwnCa { ca: Box::new(ca), hosts }, vec![certificate])
            }
            Some(Tls::Acme(acme)) => {
                if let Some(file) = &acme.ca_file {
                    roots(file)?;
                }
                let is_same = |before: &&Arc<Self>| {
                    before.orders(config, acme) && before.settings.alpn_protocols == protocols
                };
                if let Some(before) = before.filter(is_same) {
                    return Ok(Some(Arc::clone(before)));
                }
                let before = before.and_then(|before| before.keeper());
                let keeper = Keeper::open(config, acme, before, &provider)?;
                let certificates = keeper.certificates();
                (Source::Acme(Box::new(keeper)), certificates)
            }
        };
        let challenges = match &source {
            Source::Acme(keeper) => Some(keeper.challenges()),
            Source::Files { .. } | Source::OwnCa { .. } => None,
        };
        let served = Arc::new(Served::new(certificates, challenges));
        let before = before.map(|before| &*before.settings);
        let settings = settings(provider, Arc::clone(&served), protocols, before)
            .map_err(|error| CertificateError::new(&config.path, error.to_string()))?;
        Ok(Some(Arc::new(Self { settings: Arc::new(settings), served, source })))
    }

    /// Finds out whether the certificates can be opened. Writes nothing.
    ///
    /// # Errors
    /// As of [`Front::open`].
    pub fn check(config: &Config) -> Result<(), CertificateError> {
        match &config.server.tls {
            None => Ok(()),
            Some(Tls::Files(files)) => read(files, &ring::default_provider()).map(drop),
            Some(Tls::Internal) => OwnCa::read(&config.server.state_dir).map(drop),
            Some(Tls::Acme(acme)) => {
                acme.ca_file.as_deref().map_or(Ok(()), |file| roots(file).map(drop))
            }
        }
    }

    /// What a handshake needs.
    pub(crate) fn settings(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.settings)
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The certificate of the appliance's own authority, if it has one.
    pub fn root(&self) -> Option<&Root> {
        match &self.source {
            Source::OwnCa { ca, .. } => Some(ca.root()),
            Source::Files { .. } | Source::Acme(_) => None,
        }
    }

    /// Whether its certificate is by this authority, for these hosts.
    fn is_of(&self, wanted: &OwnCa, wanted_hosts: &[String]) -> bool {
        match &self.source {
            Source::OwnCa { ca, hosts } => ca.root() == wanted.root() && hosts == wanted_hosts,
            Source::Files { .. } | Source::Acme(_) => false,
        }
    }

    fn keeper(&self) -> Option<&Keeper> {
        match &self.source {
            Source::Acme(keeper) => Some(keeper),
            Source::Files { .. } | Source::OwnCa { .. } => None,
        }
    }

    /// Whether it orders what this configuration needs.
    fn orders(&self, config: &Config, acme: &Acme) -> bool {
        self.keeper().is_some_and(|keeper| keeper.is_of(config, acme))
    }

    /// The authority that people wait for, while there is only a provisional certificate.
    pub(crate) fn awaited(&self) -> Option<&str> {
        self.keeper()?.awaited()
    }

    /// The response at this path, if an authority checks a host there.
    pub(crate) fn check_response(&self, path: &str) -> Option<String> {
        self.keeper()?.challenges().http(path)
    }

    /// The hosts of a certificate that is ordered, and why each order fails; the last failure counts as
    /// a change.
    pub fn failures(&self) -> Option<(Vec<String>, watch::Receiver<Option<String>>)> {
        let keeper = self.keeper()?;
        let mut failures = keeper.failures();
        if failures.borrow().is_some() {
            failures.mark_changed();
        }
        Some((keeper.hosts().to_vec(), failures))
    }

    /// Orders certificates, one after the other.
    pub(super) async fn keep(&self, keeper: &Keeper, tell_new: impl Fn(&Certificate)) {
        acme::keep(keeper, &self.served, self.settings.crypto_provider(), tell_new).await;
    }

    /// Reads the files again. The next handshake uses them.
    pub(super) fn read_again(&self, files: &[CertificateFiles]) -> Result<(), CertificateError> {
        let certificates = read(files, self.settings.crypto_provider())?;
        warn_of_unsent(&certificates, Some(&self.served.now()));
        self.served.replace(certificates);
        Ok(())
    }

    /// Whether an OCSP response that is sent is over.
    pub(super) fn has_ended_response(&self, now: SystemTime) -> bool {
        self.served.now().iter().any(|one| one.has_ended_response(now))
    }

    /// Replaces a certificate of the appliance's own authority if that is due. Returns whether it was.
    pub(super) fn renew(
        &self,
        ca: &OwnCa,
        hosts: &[String],
        now: SystemTime,
    ) -> Result<bool, CertificateError> {
        // A clock that was ahead when the certificate was made has been set right.
        let is_due = |one: &Certificate| now >= one.renewal() || now < one.begins;
        let due = self.served.now().iter().any(is_due);
        if due {
            let certificate = ca.issue(hosts, now, self.settings.crypto_provider())?;
            self.served.replace(vec![certificate]);
        }
        Ok(due)
    }

    /// The certificates that a person must look at: from files, those that expire within two weeks;
    /// others, those whose renewal is overdue.
    pub fn expiring(&self) -> Vec<(String, SystemTime)> {
        let now = SystemTime::now();
        let is_expiring = |one: &&Certificate| match self.source {
            Source::Files { .. } => one.expires < now + SOON,
            Source::OwnCa { .. } | Source::Acme(_) => one.overdue() < now,
        };
        self.served.now().iter().filter(is_expiring).map(Certificate::named).collect()
    }

    /// First name and end of validity of each certificate.
    pub fn certificates(&self) -> Vec<(String, SystemTime)> {
        self.served.now().iter().map(Certificate::named).collect()
    }

    /// Every name, and when the first certificate for it expires.
    pub fn names(&self) -> BTreeMap<String, SystemTime> {
        let mut found = BTreeMap::new();
        if let Some(keeper) = self.keeper() {
            // The newest one comes first, and is used. A provisional one is none that people use.
            for one in keeper.issued() {
                for name in one.names {
                    found.entry(name).or_insert(one.expires);
                }
            }
            return found;
        }
        for one in self.served.now().iter() {
            for name in &one.names {
                let first = found.entry(name.clone()).or_insert(one.expires);
                *first = one.expires.min(*first);
            }
        }
        found
    }
}

/// Logs what people must know of the appliance's own authority.
fn tell(ca: &OwnCa, opened: &Opened, hosts: &[String]) {
    let (hosts, fingerprint) = (hosts.join(", "), ca.root().fingerprint());
    match opened {
        Opened::Found => {
            info!(hosts, fingerprint, "the certificate authority of the appliance signs");
        }
        Opened::Made => info!(
            hosts,
            fingerprint,
            "a certificate authority was made: browsers must be told to trust it, see `appliance ca`"
        ),
        Opened::Replaced(why) => warn!(
            hosts,
            fingerprint,
            why,
            "a new certificate authority was made in place of the former one: browsers must be told \
             again, see `appliance ca`"
        ),
    }
}

/// Logs the OCSP responses that are not sent, each content once.
fn warn_of_unsent(read: &[Certificate], known: Option<&Vec<Certificate>>) {
    for unsent in read.iter().filter_map(|one| one.unsent.as_ref()) {
        let is_known =
            known.is_some_and(|known| known.iter().any(|one| one.unsent.as_ref() == Some(unsent)));
        if !is_known {
            warn!(why = unsent.why, "an OCSP response is not sent, TLS goes on without it");
        }
    }
}

fn read(
    files: &[CertificateFiles],
    provider: &CryptoProvider,
) -> Result<Vec<Certificate>, CertificateError> {
    files.iter().map(|files| Certificate::read(files, provider)).collect()
}

/// What ALPN offers. The first one that the client knows is chosen.
fn protocols(server: &Server) -> Vec<Vec<u8>> {
    let http: &[&[u8]] = if server.http2 { &[HTTP2, b"http/1.1"] } else { &[b"http/1.1"] };
    let check = matches!(server.tls, Some(Tls::Acme(_))).then_some(ACME_TLS);
    http.iter().copied().chain(check).map(<[u8]>::to_vec).collect()
}

fn settings(
    provider: Arc<CryptoProvider>,
    served: Arc<Served>,
    protocols: Vec<Vec<u8>>,
    before: Option<&ServerConfig>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut settings = builder.with_no_client_auth().with_cert_resolver(served);
    settings.alpn_protocols = protocols;
    match before {
        Some(before) => {
            settings.ticketer = Arc::clone(&before.ticketer);
            settings.session_storage = Arc::clone(&before.session_storage);
        }
        // Without tickets, sessions of TLS 1.2 are resumed from memory.
        None => {
            if let Ok(ticketer) = ring::Ticketer::new() {
                settings.ticketer = ticketer;
            }
        }
    }
    Ok(settings)
}

#[cfg(test)]
#[path = "../../tests/unit/tls/front.rs"]
mod tests;
