//! The cookie of an app in a frame of another site.
//!
//! Browsers send it only in frames below pages of the site where it was set (`Partitioned`, CHIPS), so
//! it may be `SameSite=None`. Its path is `/`, also where the app is below another one: so it comes with the
//! request that would replace it, and has the prefix `__Host-`.

use std::time::Duration;

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::cookies::EMBED;
use crate::config::AppName;

/// Name and attributes of the cookie of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmbedCookie {
    pub(crate) app: AppName,
    pub(crate) name: String,
    /// The origins that may frame the app.
    pub(crate) origins: Vec<OriginDigest>,
}

/// The first bytes of the SHA-256 of an origin: a cookie with many of them stays small. The origins are those
/// of the configuration, so nobody can choose one with the digest of another.
pub(crate) type OriginDigest = [u8; 4];

impl EmbedCookie {
    /// `session`: name of the session cookie in the configuration; `origins`: those of `embed`; `secure`:
    /// browsers use https.
    ///
    /// Without https, which is allowed on the browser's own machine only, browsers accept no prefix.
    pub(crate) fn new(session: &str, app: &AppName, origins: &[String], secure: bool) -> Self {
        let prefix = if secure { "__Host-" } else { "" };
        let name = format!("{prefix}{session}{EMBED}{app}");
        Self { app: app.clone(), name, origins: origins.iter().map(|one| digest(one)).collect() }
    }

    /// Whether all `origins` may still frame the app. A frame does not say which of them frames it.
    pub(crate) fn allows(&self, origins: &[OriginDigest]) -> bool {
        origins.iter().all(|one| self.origins.contains(one))
    }

    /// A `Set-Cookie` value. Browsers accept `SameSite=None` and `Partitioned` only with `Secure`, which
    /// holds on the browser's own machine without https as well.
    pub(crate) fn set(&self, value: &str, age: Duration) -> Option<HeaderValue> {
        let name = &self.name;
        let age = age.as_secs();
        let attributes = "HttpOnly; SameSite=None; Secure; Partitioned";
        let text = format!("{name}={value}; Path=/; Max-Age={age}; {attributes}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn digest(origin: &str) -> OriginDigest {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(origin));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_one_app() {
        let app = AppName::new("app1").unwrap();
        for (secure, wanted) in [
            (true, "__Host-appliance-embed-app1=v; Path=/"),
            (false, "appliance-embed-app1=v; Path=/"),
        ] {
            let cookie = EmbedCookie::new("appliance", &app, &[], secure);
            let set = cookie.set("v", Duration::from_mins(1)).unwrap();
            let attributes = "; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned";
            assert_eq!(set.to_str().unwrap(), format!("{wanted}{attributes}"));
            assert!(!format!("{set:?}").contains("=v"));
        }
    }

    #[test]
    fn a_list_that_loses_an_origin_no_longer_allows_its_frames() {
        let app = AppName::new("app1").unwrap();
        let cookie = |origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(|one| (*one).to_owned()).collect();
            EmbedCookie::new("appliance", &app, &origins, true)
        };
        let before = cookie(&["https://a.example", "https://b.example"]);
        let allows = |origins| cookie(origins).allows(&before.origins);
        assert!(allows(&["https://b.example", "https://a.example"]));
        assert!(allows(&["https://a.example", "https://b.example", "https://c.example"]));
        assert!(!allows(&["https://a.example"]) && !allows(&[]));
        assert!(!allows(&["https://a.example", "https://c.example"]));
    }
}
