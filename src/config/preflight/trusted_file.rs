//! The files that decide whom the appliance trusts, and as whom the appliance is known. They hold no
//! secret: an app may read them. An app that can change one could be the issuer, or an upstream.

use std::path::Path;

use crate::config::model::{Config, Tls};

/// A file that decides whom the appliance trusts.
#[derive(Debug)]
pub(super) struct TrustedFile<'c> {
    /// Where the configuration names it.
    pub(super) key: Vec<&'c str>,
    pub(super) path: &'c Path,
}

impl Config {
    /// Each `ca_file`, and the certificates of `tls` and of `client_cert`.
    pub(super) fn trusted_files(&self) -> Vec<TrustedFile<'_>> {
        let issuer = self.oidc.as_ref().and_then(|oidc| oidc.ca_file.as_deref());
        let issuer = issuer.map(|path| TrustedFile { key: vec!["oidc", "ca_file"], path });
        let directory = match &self.server.tls {
            Some(Tls::Acme(acme)) => acme.ca_file.as_deref(),
            Some(Tls::Files(_) | Tls::Internal) | None => None,
        };
        let shown = self.server.certificate_files().iter().map(|one| one.cert.as_path());
        let of_server = directory.into_iter().chain(shown);
        let of_server = of_server.map(|path| TrustedFile { key: vec!["server", "tls"], path });
        let of_apps = self.apps.iter().filter_map(|app| Some((app.name.as_str(), app.tls()?)));
        let of_apps = of_apps.flat_map(|(app, tls)| {
            let verifies = tls.ca_file.as_deref().map(|path| ("ca_file", path));
            let shown = tls.client.as_ref().map(|client| ("client_cert", client.cert.as_path()));
            let both = verifies.into_iter().chain(shown);
            both.map(move |(key, path)| TrustedFile { key: vec!["apps", app, key], path })
        });
        issuer.into_iter().chain(of_server).chain(of_apps).collect()
    }
}
