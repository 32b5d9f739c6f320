//! Refuses requests that a page of another origin sends with the session of its visitor.
//!
//! A browser sends the session cookie also with requests of pages of sibling hosts: `SameSite` excludes
//! other sites, not other hosts of the same site (RFC 6265bis section 8.8.2). A WebSocket handshake and an
//! unsafe request must therefore come from a page of the app's own origin. The setting `origins` of the
//! app accepts further origins.

use http::header::{HOST, HeaderMap, ORIGIN};
use http::{HeaderValue, Method};

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser::{self, FETCH_SITE};
use crate::proxy::phases::detached;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// The origin of `public_url`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOrigin<'a> {
    /// The origin as browsers send it in the `Origin` header.
    pub text: &'a str,
    /// The scheme is https.
    pub secure: bool,
}

/// The page that has sent a WebSocket handshake, so that its origin can be judged again: a reload may
/// change the `origins` of the app while the tunnel is open.
#[derive(Debug)]
pub(crate) struct HandshakePage {
    /// What the judgement needs of the handshake.
    headers: HeaderMap,
    public: String,
    secure: bool,
}

impl HandshakePage {
    pub(crate) fn of(headers: &HeaderMap, public: PublicOrigin<'_>) -> Self {
        let names = [ORIGIN, FETCH_SITE, HOST];
        let mut kept = HeaderMap::with_capacity(names.len());
        for name in names {
            for value in headers.get_all(&name) {
                kept.append(&name, detached::header(value));
            }
        }
        Self { headers: kept, public: public.text.to_owned(), secure: public.secure }
    }

    pub(super) fn is_accepted_by(&self, app: &RoutedApp) -> bool {
        let public = PublicOrigin { text: &self.public, secure: self.secure };
        check_handshake(app, &self.headers, public).is_ok()
    }
}

/// Refuses a WebSocket handshake of a page of another origin.
pub(crate) fn check_handshake(
    app: &RoutedApp,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    if is_foreign(app, headers, public) { Err(Refusal::CrossSite) } else { Ok(()) }
}

/// Refuses an unsafe request of a page of another origin. Only requests with a session are checked:
/// without one a page gains nothing, and callbacks and API clients of the app keep working.
pub(crate) fn check_unsafe(
    app: &RoutedApp,
    method: &Method,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    // The protocols of an issuer use requests from other origins for logins, logouts and tokens.
    if safe || app.is_issuer {
        return Ok(());
    }
    if is_foreign(app, headers, public) { Err(Refusal::CrossSite) } else { Ok(()) }
}

/// Whether a page of another origin sends the request. A request without `Origin` and without
/// `Sec-Fetch-Site` does not come from a page.
fn is_foreign(app: &RoutedApp, headers: &HeaderMap, public: PublicOrigin<'_>) -> bool {
    let named = |one: &HeaderValue| {
        let allowed = &app.route.origins;
        allowed.iter().any(|origin| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    };
    if app.route.origins.iter().any(|origin| origin == "*") {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(_), Some(_)) => true,
        // A page with the policy `no-referrer` sends its forms with the origin `null`. In this case,
        // and without `Origin`, the browser's `Sec-Fetch-Site` decides.
        (None, _) => is_other_site(headers).unwrap_or(false),
        (Some(origin), None) if origin == "null" => is_other_site(headers).unwrap_or(true),
        (Some(origin), None) => !is_own(app, headers, public, origin) && !named(origin),
    }
}

/// Whether another origin caused the request, according to `Sec-Fetch-Site`; `None` without the header.
fn is_other_site(headers: &HeaderMap) -> Option<bool> {
    let site = headers.get(FETCH_SITE)?;
    Some(site != "same-origin" && site != "none")
}

/// Whether `origin` is the origin of the app: of its `host` with the port of the request, or of
/// `public_url`.
fn is_own(
    app: &RoutedApp,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
    origin: &HeaderValue,
) -> bool {
    let origin = origin.as_bytes();
    if app.route.host.is_none() {
        return origin.eq_ignore_ascii_case(public.text.as_bytes());
    }
    browser::own_origin(headers, public.secure)
        .is_some_and(|own| origin.eq_ignore_ascii_case(own.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::{app, config, routed_app};

    const PUBLIC: PublicOrigin<'_> = PublicOrigin { text: "http://apps.test:8080", secure: false };

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn vault(origins: &[&str]) -> RoutedApp {
        let mut app = app("vault", "/", 1);
        let route = app.route.as_mut().unwrap();
        route.host = Some("vault.apps.test".to_owned());
        route.origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        routed_app(&config(8080, vec![app]))
    }

    fn asks(app: &RoutedApp, host: &'static str, lines: &[(&'static str, &'static str)]) -> bool {
        let headers = map(&[&[("host", host)], lines].concat());
        let allowed = check_unsafe(app, &Method::POST, &headers, PUBLIC).is_ok();
        assert_eq!(check_handshake(app, &headers, PUBLIC).is_ok(), allowed, "{lines:?}");
        let page = HandshakePage::of(&headers, PUBLIC);
        assert_eq!(page.is_accepted_by(app), allowed, "{lines:?} judged again");
        allowed
    }

    #[test]
    fn an_app_with_a_host_accepts_its_own_pages_only() {
        let own = ("origin", "http://vault.apps.test:8080");
        for (lines, allowed) in [
            (vec![], true),
            (vec![own], true),
            (vec![("origin", "HTTP://Vault.apps.test:8080")], true),
            (vec![own, ("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("origin", "null"), ("sec-fetch-site", "same-origin")], true),
            (vec![("origin", "http://apps.test:8080")], false),
            (vec![("origin", "http://apps.test:8080"), ("sec-fetch-site", "same-origin")], false),
            (vec![("origin", "http://other.apps.test:8080")], false),
            (vec![("origin", "http://vault.apps.test")], false),
            (vec![("origin", "https://vault.apps.test:8080")], false),
            (vec![("origin", "http://vault.apps.test:80801")], false),
            (vec![("origin", "http")], false),
            (vec![("origin", "")], false),
            (vec![("origin", "null")], false),
            (vec![("origin", "null"), ("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![own, ("origin", "http://evil.test")], false),
        ] {
            assert_eq!(asks(&vault(&[]), "vault.apps.test:8080", &lines), allowed, "{lines:?}");
        }
        let usual_port = [("origin", "http://vault.apps.test")];
        assert!(asks(&vault(&[]), "vault.apps.test:80", &usual_port));
        assert!(asks(&vault(&[]), "vault.apps.test", &usual_port));
    }

    #[test]
    fn further_origins_are_accepted_by_name() {
        let partner = [("origin", "https://Partner.example"), ("sec-fetch-site", "cross-site")];
        let sibling = [("origin", "http://apps.test:8080"), ("sec-fetch-site", "same-site")];
        let named = vault(&["https://partner.example"]);
        let host = "vault.apps.test:8080";
        assert!(asks(&named, host, &partner) && !asks(&named, host, &sibling));
        assert!(asks(&named, host, &[("origin", "http://vault.apps.test:8080")]));
        let all = vault(&["*"]);
        assert!(asks(&all, host, &partner) && asks(&all, host, &[("origin", "null")]));
    }

    #[test]
    fn an_app_of_the_public_host_accepts_pages_of_the_public_host_only() {
        let app = |origins: &[&str]| {
            let mut app = app("pub", "/pub", 1);
            let route = app.route.as_mut().unwrap();
            route.origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            routed_app(&config(8080, vec![app]))
        };
        let sibling = ("origin", "http://vault.apps.test:8080");
        for (lines, allowed) in [
            (vec![], true),
            (vec![("origin", "http://apps.test:8080")], true),
            (vec![("origin", "http://apps.test:8080"), ("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("origin", "null"), ("sec-fetch-site", "same-origin")], true),
            (vec![sibling], false),
            (vec![sibling, ("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "http://apps.test:9090")], false),
            (vec![("origin", "https://apps.test:8080")], false),
            (vec![("origin", "http://evil.test"), ("sec-fetch-site", "cross-site")], false),
            (vec![("origin", "null")], false),
        ] {
            assert_eq!(asks(&app(&[]), "apps.test:8080", &lines), allowed, "{lines:?}");
        }
        let named = app(&["http://vault.apps.test:8080"]);
        assert!(asks(&named, "apps.test:8080", &[sibling]));
        assert!(asks(&named, "apps.test:8080", &[("origin", "http://apps.test:8080")]));
        assert!(!asks(&named, "apps.test:8080", &[("origin", "http://evil.test")]));
    }

    #[test]
    fn the_protocols_of_the_issuer_and_safe_methods_are_not_checked() {
        let mut issuer = vault(&[]);
        issuer.is_issuer = true;
        let foreign = map(&[("origin", "http://evil.test"), ("host", "vault.apps.test")]);
        assert!(check_unsafe(&issuer, &Method::POST, &foreign, PUBLIC).is_ok());
        for (method, allowed) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::OPTIONS, true),
            (Method::POST, false),
            (Method::PUT, false),
            (Method::PATCH, false),
            (Method::DELETE, false),
            (Method::from_bytes(b"PROPPATCH").unwrap(), false),
        ] {
            let found = check_unsafe(&vault(&[]), &method, &foreign, PUBLIC).is_ok();
            assert_eq!(found, allowed, "{method}");
        }
    }
}
