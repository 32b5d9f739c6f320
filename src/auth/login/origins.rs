//! Our addresses: `public_url` and the hosts of apps that have one of their own.
//!
//! Our cookies belong to one host. So a login ends under the host where it began, and each host
//! has a callback of its own at the issuer.

use http::HeaderMap;
use http::header::HOST;
use openidconnect::RedirectUrl;

use crate::auth::SetupError;
use crate::config::{Config, PublicUrl};

/// All of them.
#[derive(Debug)]
pub(crate) struct Places {
    public: Place,
    /// By host, in lower case.
    apps: Vec<(String, Place)>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place {
    /// Without a trailing slash.
    pub(crate) origin: String,
    /// Where the issuer sends browsers back to.
    pub(crate) callback: RedirectUrl,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Result<Self, SetupError> {
        let public = &config.server.public_url;
        let hosts = config.apps.iter().filter_map(|app| app.route.as_ref()?.host.as_ref());
        let apps = hosts.map(|host| {
            let url = PublicUrl { host: host.clone(), ..public.clone() };
            Ok((host.clone(), Place::new(&url)?))
        });
        Ok(Self { public: Place::new(public)?, apps: apps.collect::<Result<_, _>>()? })
    }

    /// The one that a request came under. Hosts that are not ours have been refused before;
    /// whatever is said beside an app's own host, it is `public_url`.
    pub(crate) fn of(&self, headers: &HeaderMap) -> &Place {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let own = self.apps.iter().find(|(host, _)| host.eq_ignore_ascii_case(name));
        own.map_or(&self.public, |(_, place)| place)
    }
}

impl Place {
    fn new(url: &PublicUrl) -> Result<Self, SetupError> {
        let origin = url.to_string();
        let callback = RedirectUrl::new(format!("{origin}/oauth2/callback")).map_err(|error| {
            SetupError::new(&["server", "public_url"], format!("{origin} is no address: {error}"))
        })?;
        Ok(Self { origin, callback })
    }
}
