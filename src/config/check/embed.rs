//! `embed`: the origins whose pages may show an app in a frame.

use super::context::{Check, Outline};
use crate::config::file;
use crate::config::grammar;
use crate::config::model::{App, AppName, Oidc, PublicUrl, is_loopback_host};

const HTTPS: &str = "browsers keep the cookie of a frame only where they use https";

impl Check<'_, '_> {
    pub(super) fn embed(&mut self, table: &file::App) -> Vec<String> {
        let origins = table.embed.iter().flatten();
        origins.filter_map(|at| self.parse_some(Some(at), origin)).collect()
    }

    /// What an app with `embed` needs of the rest of the configuration.
    pub(super) fn embedded(
        &mut self,
        apps: &[App],
        outlines: &[Outline<'_>],
        public_url: &PublicUrl,
        oidc: Option<&Oidc>,
    ) {
        let is_enabled =
            |app: &&App| outlines.iter().any(|outline| outline.enabled && outline.name == app.name);
        let host_of = |app: &App| {
            let route = app.route.as_ref()?;
            Some(route.host.clone().unwrap_or_else(|| public_url.host.clone()))
        };
        for outline in outlines.iter().filter(|outline| outline.enabled) {
            let Some(at) = outline.table.embed.as_deref().and_then(|list| list.first()) else {
                continue;
            };
            let (name, span) = (&outline.name, &at.span);
            let app = apps.iter().find(|app| app.name == *name);
            let Some(route) = app.and_then(|app| app.route.as_ref()) else { continue };
            let host = route.host.as_ref().unwrap_or(&public_url.host);
            let is_issuer =
                |name: &AppName| oidc.is_some_and(|oidc| oidc.served_by.as_ref() == Some(name));
            // The issuer can sign in as anybody without a session of an app.
            let mut others = apps.iter().filter(is_enabled).filter(|other| !is_issuer(&other.name));
            let neighbour =
                others.find(|other| other.name != *name && host_of(other).as_ref() == Some(host));
            let is_kept = public_url.secure || is_loopback_host(host);
            let neighbour = neighbour.map(|app| &app.name);
            if let Some((what, help)) = why_not(name, is_issuer(name), is_kept, neighbour) {
                self.problems.error_with_help(span, what, help);
            }
        }
    }
}

/// Why an app cannot have `embed`, and what to do. `is_kept`: browsers keep the cookie of its frames.
fn why_not(
    name: &AppName,
    is_issuer: bool,
    is_kept: bool,
    neighbour: Option<&AppName>,
) -> Option<(String, String)> {
    if is_issuer {
        let what = format!("`{name}` is the issuer, and no page may frame the login");
        return Some((what, "remove `embed`: people sign in by a window of their own".to_owned()));
    }
    if !is_kept {
        let what = format!("`embed` needs an https `public_url`: {HTTPS}");
        return Some((what, "set `public_url` to the https address that browsers use".to_owned()));
    }
    let neighbour = neighbour?;
    let what = format!(
        "`{name}` has `embed` and shares its origin with `{neighbour}`, whose pages \
         could take a person's session for `{name}`"
    );
    Some((what, format!("give `{name}` a `host` that no other app has")))
}

/// `https://host[:port]`; with http only a host that means the browser's own machine.
fn origin(text: &str) -> grammar::Parsed<String> {
    if text.contains('*') {
        return Err("`embed` takes no wildcard; name each origin".to_owned());
    }
    let origin = grammar::origin(text)?;
    let host = origin.strip_prefix("http://").map(|rest| match rest.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rest,
    });
    match host {
        Some(host) if !is_loopback_host(host) => {
            Err(format!("an origin of `embed` must be https: {HTTPS}"))
        }
        _ => Ok(origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_https_origins_may_frame_an_app() {
        for (text, wanted) in [
            ("https://wiki.example.org", Some("https://wiki.example.org")),
            ("https://Wiki.example.org:443", Some("https://wiki.example.org")),
            ("https://wiki.example.org:8443", Some("https://wiki.example.org:8443")),
            ("http://localhost:8090", Some("http://localhost:8090")),
            ("http://wiki.localhost", Some("http://wiki.localhost")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://[::1]:8090", Some("http://[::1]:8090")),
            ("http://wiki.example.org", None),
            ("http://localhost.example.org", None),
            ("https://wiki.example.org/space", None),
            ("https://wiki.example.org/", None),
            ("https://*.example.org", None),
            ("*", None),
            ("wiki.example.org", None),
            ("https://wiki.example.org; script-src", None),
            ("null", None),
            ("", None),
        ] {
            assert_eq!(origin(text).ok().as_deref(), wanted, "{text}");
        }
    }
}
