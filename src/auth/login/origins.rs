//! The origins under which browsers reach the appliance: that of `public_url` and that of each app
//! with a host of its own.
//!
//! A cookie belongs to one host. A login therefore ends under the host where it began, and every
//! host has a redirect URI of its own at the issuer.

use http::HeaderMap;
use http::header::HOST;
use openidconnect::RedirectUrl;

use crate::auth::setup_error::SetupError;
use crate::config::{Config, PublicUrl};

/// All origins.
#[derive(Debug)]
pub(crate) struct Origins {
    public: Origin,
    /// By host, in lower case.
    apps: Vec<(String, Origin)>,
}

/// One origin.
#[derive(Debug)]
pub(super) struct Origin {
    /// Scheme, host and port, without a slash at the end.
    pub(super) url: String,
    /// The redirect URI: where the issuer sends the browser back to.
    pub(super) callback: RedirectUrl,
}

impl Origins {
    pub(crate) fn new(config: &Config) -> Result<Self, SetupError> {
        let public = &config.server.public_url;
        let hosts = config.apps.iter().filter_map(|app| app.route.as_ref()?.host.as_ref());
        let apps = hosts.map(|host| {
            let url = PublicUrl { host: host.clone(), ..public.clone() };
            Ok((host.clone(), Origin::new(&url)?))
        });
        Ok(Self { public: Origin::new(public)?, apps: apps.collect::<Result<_, _>>()? })
    }

    /// The origin that a request was sent to: that of the app with this `Host`, otherwise that of
    /// `public_url`. The proxy has refused unknown hosts before.
    pub(super) fn of(&self, headers: &HeaderMap) -> &Origin {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let app = self.apps.iter().find(|(host, _)| host.eq_ignore_ascii_case(name));
        app.map_or(&self.public, |(_, origin)| origin)
    }
}

impl Origin {
    fn new(public: &PublicUrl) -> Result<Self, SetupError> {
        let url = public.to_string();
        let callback = RedirectUrl::new(format!("{url}/oauth2/callback")).map_err(|error| {
            SetupError::new(&["server", "public_url"], format!("{url} is not a URL: {error}"))
        })?;
        Ok(Self { url, callback })
    }
}
