//! The cookie of an app in a frame of another site.
//!
//! Browsers send it only in frames below pages of the site where it was set (`Partitioned`, CHIPS), so
//! it may be `SameSite=None`.

use std::time::Duration;

use http::HeaderValue;

use super::cookies::EMBED;
use crate::config::AppName;

/// Name and attributes of the cookie of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmbedCookie {
    pub(crate) app: AppName,
    pub(crate) name: String,
    path: String,
}

impl EmbedCookie {
    /// `session`: name of the session cookie in the configuration; `path`: where the app is; `secure`:
    /// browsers use https.
    ///
    /// Browsers accept `__Host-` only for the path `/`. Without https, which is allowed on the browser's
    /// own machine only, they accept no prefix.
    pub(crate) fn new(session: &str, app: &AppName, path: &str, secure: bool) -> Self {
        let prefix = match (secure, path) {
            (false, _) => "",
            (true, "/") => "__Host-",
            (true, _) => "__Secure-",
        };
        let name = format!("{prefix}{session}{EMBED}{app}");
        Self { app: app.clone(), name, path: path.to_owned() }
    }

    /// A `Set-Cookie` value. Browsers accept `SameSite=None` and `Partitioned` only with `Secure`, which
    /// holds on the browser's own machine without https as well.
    pub(crate) fn set(&self, value: &str, age: Duration) -> Option<HeaderValue> {
        let Self { name, path, .. } = self;
        let age = age.as_secs();
        let attributes = "HttpOnly; SameSite=None; Secure; Partitioned";
        let text = format!("{name}={value}; Path={path}; Max-Age={age}; {attributes}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_one_app() {
        let app = AppName::new("app1").unwrap();
        for (path, secure, wanted) in [
            ("/app1", true, "__Secure-appliance-embed-app1=v; Path=/app1"),
            ("/", true, "__Host-appliance-embed-app1=v; Path=/"),
            ("/app1", false, "appliance-embed-app1=v; Path=/app1"),
        ] {
            let cookie = EmbedCookie::new("appliance", &app, path, secure);
            let set = cookie.set("v", Duration::from_mins(1)).unwrap();
            let attributes = "; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned";
            assert_eq!(set.to_str().unwrap(), format!("{wanted}{attributes}"));
            assert!(!format!("{set:?}").contains("=v"));
        }
    }
}
