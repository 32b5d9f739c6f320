//! TLS to an app: what must verify the app, and what shows the appliance to the app.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::config::model::server::CertificateFiles;

/// The TLS settings of an app with `https://` addresses. All addresses and probes of the app share them,
/// so that they also share what a later handshake can resume.
#[derive(Debug, Default)]
pub struct AppTls {
    /// The authorities that verify the app, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name in the certificate of the app, if it is not the host of the address.
    pub server_name: Option<String>,
    /// The certificate that is shown to the app.
    pub client: Option<CertificateFiles>,
    opened: OnceLock<OpenedTls>,
}

/// The settings with the content of their files.
#[derive(Clone)]
pub struct OpenedTls {
    /// What a handshake needs, or why the authorities of the system cannot be read.
    pub settings: Result<Arc<ClientConfig>, String>,
    /// What the files held.
    pub content: TlsContent,
}

/// SHA-256 of each file; `None` where a setting names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the settings")]
pub struct TlsContent {
    pub ca_file: Option<[u8; 32]>,
    pub client_cert: Option<[u8; 32]>,
    pub client_key: Option<[u8; 32]>,
}

impl fmt::Debug for OpenedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedTls").finish_non_exhaustive()
    }
}

impl PartialEq for AppTls {
    /// Whether a connection of the one can be used for the other: the settings and the content of the
    /// files are the same.
    fn eq(&self, other: &Self) -> bool {
        (&self.ca_file, &self.server_name, &self.client)
            == (&other.ca_file, &other.server_name, &other.client)
            && self.content() == other.content()
    }
}

impl Eq for AppTls {}

impl AppTls {
    /// Settings whose files have not been read.
    pub fn new(
        ca_file: Option<PathBuf>,
        server_name: Option<String>,
        client: Option<CertificateFiles>,
    ) -> Self {
        Self { ca_file, server_name, client, opened: OnceLock::new() }
    }

    /// Sets the content of the files. The first content stays.
    pub fn open(&self, opened: OpenedTls) {
        let _ = self.opened.set(opened);
    }

    /// The settings with the content of their files, once it has been read.
    pub fn opened(&self) -> Option<&OpenedTls> {
        self.opened.get()
    }

    fn content(&self) -> Option<TlsContent> {
        self.opened().map(|opened| opened.content)
    }

    /// What a handshake with an app at `host` needs.
    ///
    /// # Errors
    ///
    /// There is nothing that could verify the app, or no certificate can have the name.
    pub fn handshake(&self, host: &str) -> io::Result<(Arc<ClientConfig>, ServerName<'static>)> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let opened = self.opened().ok_or_else(|| io::Error::other("the TLS files are not read"))?;
        let settings = opened.settings.as_ref().map_err(|why| io::Error::other(why.clone()))?;
        Ok((Arc::clone(settings), name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(ca_file: &str, content: Option<u8>) -> AppTls {
        let tls = AppTls::new(Some(ca_file.into()), None, None);
        if let Some(byte) = content {
            let content = TlsContent { ca_file: Some([byte; 32]), ..TlsContent::default() };
            tls.open(OpenedTls { settings: Err("unread".to_owned()), content });
        }
        tls
    }

    #[test]
    fn a_connection_belongs_to_the_settings_and_the_content_of_their_files() {
        assert_eq!(tls("a", Some(1)), tls("a", Some(1)));
        assert_ne!(tls("a", Some(1)), tls("a", Some(2)), "the file has changed");
        assert_ne!(tls("a", Some(1)), tls("b", Some(1)));
        assert_ne!(tls("a", Some(1)), tls("a", None));
    }

    #[test]
    fn a_handshake_needs_files_that_were_read() {
        for (tls, wanted) in [
            (tls("a", None), "the TLS files are not read"),
            (tls("a", Some(1)), "unread"),
            (AppTls::new(None, Some("no name".to_owned()), None), "invalid dns name"),
        ] {
            assert_eq!(tls.handshake("a.example").unwrap_err().to_string(), wanted);
        }
    }
}
