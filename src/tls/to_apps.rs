//! TLS to apps: reads the authorities that verify an app, and the certificate that is shown to it.
//!
//! Each app has settings of its own, which all workers and probes share: a later handshake can resume an
//! earlier one, but never one of another app. A reload keeps the settings of an app whose files have the
//! same content.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use sha2::{Digest as _, Sha256};

use super::certificate::{Certificate, CertificateError, chain, read};
use crate::config::{AppName, AppTls, CertificateFiles, Config, OpenedTls, TlsContent};

/// Why the TLS files of an app cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct AppTlsError {
    /// The app.
    pub app: AppName,
    /// The key of its table.
    pub key: &'static str,
    source: CertificateError,
}

/// Reads the files of all apps. `before`: the configuration that is replaced.
///
/// # Errors
/// Files of an app cannot be used.
pub fn open(config: &Config, before: Option<&Config>) -> Result<(), AppTlsError> {
    for app in &config.apps {
        let Some(tls) = app.tls() else { continue };
        let files = Files::read(tls);
        let known = before.and_then(|before| before.app(app.name.as_str())?.tls()?.opened());
        let opened = files.and_then(|files| files.open(tls, known));
        let at_app = |(key, source)| AppTlsError { app: app.name.clone(), key, source };
        tls.open(opened.map_err(at_app)?);
    }
    Ok(())
}

/// What prevents the TLS to apps. Opens nothing.
pub fn problems(config: &Config) -> Vec<AppTlsError> {
    let apps = config.apps.iter().filter_map(|app| Some((app, app.tls()?)));
    let found = apps.filter_map(|(app, tls)| {
        let (key, source) = Files::read(tls).and_then(|files| files.settings(tls)).err()?;
        Some(AppTlsError { app: app.name.clone(), key, source })
    });
    found.collect()
}

/// The settings whose files have another content than under the configuration that is replaced, for each
/// app that both have. Both are open.
pub fn changed(before: &Config, after: &Config) -> Vec<(AppName, Vec<&'static str>)> {
    let both = after.apps.iter().filter_map(|app| {
        let new = app.tls()?.opened()?.content;
        let old = before.app(app.name.as_str())?.tls()?.opened()?.content;
        let keys = [
            ("ca_file", old.ca_file != new.ca_file),
            ("client_cert", old.client_cert != new.client_cert),
            ("client_key", old.client_key != new.client_key),
        ];
        let keys = keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key);
        Some((app.name.clone(), keys.collect()))
    });
    both.filter(|(_, keys): &(_, Vec<_>)| !keys.is_empty()).collect()
}

/// A key of an app's table, and what is wrong with its file.
type Fault = (&'static str, CertificateError);

/// The content of the files.
struct Files {
    ca: Option<Vec<u8>>,
    /// Certificate and private key.
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    fn read(tls: &AppTls) -> Result<Self, Fault> {
        let at = |key, file: &Path| read(file).map_err(|error| (key, error));
        let ca = tls.ca_file.as_deref().map(|file| at("ca_file", file)).transpose()?;
        let client = tls
            .client
            .as_ref()
            .map(|files| Ok((at("client_cert", &files.cert)?, at("client_key", &files.key)?)));
        Ok(Self { ca, client: client.transpose()? })
    }

    fn content(&self) -> TlsContent {
        let digest = |bytes: &Vec<u8>| Sha256::digest(bytes).into();
        TlsContent {
            ca_file: self.ca.as_ref().map(digest),
            client_cert: self.client.as_ref().map(|(cert, _)| digest(cert)),
            client_key: self.client.as_ref().map(|(_, key)| digest(key)),
        }
    }

    fn open(self, tls: &AppTls, known: Option<&OpenedTls>) -> Result<OpenedTls, Fault> {
        let content = self.content();
        match known.filter(|known| known.content == content && known.settings.is_ok()) {
            Some(known) => Ok(known.clone()),
            None => Ok(OpenedTls { settings: self.settings(tls)?, content }),
        }
    }

    /// The inner error: the system has no authorities. The appliance starts nevertheless, and the app
    /// cannot be reached.
    fn settings(&self, tls: &AppTls) -> Result<Result<Arc<ClientConfig>, String>, Fault> {
        let provider = Arc::new(ring::default_provider());
        let client = tls.client.as_ref().zip(self.client.as_ref());
        let client = client.map(|(files, content)| shown(files, content, &provider)).transpose()?;
        let roots = tls.ca_file.as_deref().zip(self.ca.as_deref());
        let roots = roots.map(|(file, text)| roots_of(file, text)).transpose()?;
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = match builder {
            Ok(builder) => builder,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let builder = match roots.map_or_else(|| system().map(Err), |roots| Ok(Ok(roots))) {
            Ok(Ok(roots)) => builder.with_root_certificates(roots),
            Ok(Err(system)) => builder.dangerous().with_custom_certificate_verifier(system),
            Err(why) => return Ok(Err(why)),
        };
        let mut settings = match client {
            Some(client) => builder.with_client_cert_resolver(Arc::new(client)),
            None => builder.with_no_client_auth(),
        };
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Ok(Arc::new(settings)))
    }
}

fn shown(
    files: &CertificateFiles,
    (cert, key): &(Vec<u8>, Vec<u8>),
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, Fault> {
    let certificate = Certificate::parse(files, (cert, key), provider).map_err(|error| {
        let key = if error.is_about(&files.key) { "client_key" } else { "client_cert" };
        (key, error)
    })?;
    Ok(SingleCertAndKey::from(certificate.signing))
}

fn roots_of(file: &Path, text: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let certificates = chain(file, text).map_err(|error| ("ca_file", error))?;
    for certificate in certificates {
        roots.add(certificate).map_err(|_| {
            let why = "has a certificate that is not valid X.509";
            ("ca_file", CertificateError::new(file, why))
        })?;
    }
    Ok(roots)
}

/// The authorities of the system. They are read once, because reading them takes long.
fn system() -> Result<Arc<Verifier>, String> {
    static SYSTEM: OnceLock<Result<Arc<Verifier>, String>> = OnceLock::new();
    let read = || {
        let verifier = Verifier::new(Arc::new(ring::default_provider()));
        verifier.map(Arc::new).map_err(|error| {
            format!(
                "the system has no authorities that could verify the app ({error}); set `ca_file`"
            )
        })
    };
    SYSTEM.get_or_init(read).clone()
}
