//! TLS as the listeners use it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};

use super::certificate::{Certificate, CertificateError};
use super::served::Served;
use super::stamp::{Stamps, stamps};
use crate::config::CertificateFiles;

/// A certificate that is valid for less than this has to be renewed now.
const SOON: Duration = Duration::from_hours(14 * 24);

/// The settings of TLS for new connections, with the certificates.
#[derive(Debug)]
pub struct Front {
    settings: Arc<ServerConfig>,
    served: Arc<Served>,
    files: Vec<CertificateFiles>,
    seen: Stamps,
}

impl Front {
    /// Reads the certificates. `None` if there are no files: then the listeners speak no TLS. TLS sessions
    /// of `before` can be resumed.
    ///
    /// # Errors
    /// A file cannot be read, or a private key does not belong to its certificate.
    pub fn open(
        files: &[CertificateFiles],
        before: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, CertificateError> {
        if files.is_empty() {
            return Ok(None);
        }
        // Before the files are read: a change meanwhile is seen by the next look.
        let seen = stamps(files);
        let provider = Arc::new(ring::default_provider());
        let served = Arc::new(Served::new(read(files, &provider)?));
        let before = before.map(|before| &*before.settings);
        let settings = settings(provider, Arc::clone(&served), before)
            .map_err(|error| CertificateError::new(&files[0].cert, error.to_string()))?;
        Ok(Some(Arc::new(Self {
            settings: Arc::new(settings),
            served,
            files: files.to_vec(),
            seen,
        })))
    }

    /// What a handshake needs.
    pub(crate) fn settings(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.settings)
    }

    /// The files that were read.
    pub(super) fn files(&self) -> &[CertificateFiles] {
        &self.files
    }

    /// The files as they were when they were first read.
    pub(super) fn seen(&self) -> &Stamps {
        &self.seen
    }

    /// Reads the files again. The next handshake uses them.
    pub(super) fn read_again(&self) -> Result<(), CertificateError> {
        self.served.replace(read(&self.files, self.settings.crypto_provider())?);
        Ok(())
    }

    /// The certificates that expire within two weeks, or have expired.
    pub fn expiring(&self) -> Vec<(String, SystemTime)> {
        let soon = SystemTime::now() + SOON;
        self.certificates().into_iter().filter(|(_, expires)| *expires < soon).collect()
    }

    /// First name and end of validity of each certificate.
    pub fn certificates(&self) -> Vec<(String, SystemTime)> {
        let name = |one: &Certificate| one.names.first().cloned().unwrap_or_default();
        self.served.now().iter().map(|one| (name(one), one.expires)).collect()
    }
}

fn read(
    files: &[CertificateFiles],
    provider: &CryptoProvider,
) -> Result<Vec<Certificate>, CertificateError> {
    files.iter().map(|files| Certificate::read(files, provider)).collect()
}

fn settings(
    provider: Arc<CryptoProvider>,
    served: Arc<Served>,
    before: Option<&ServerConfig>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut settings = builder.with_no_client_auth().with_cert_resolver(served);
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
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
