//! Which pages may act on an app with the session of their visitor.
//!
//! A browser attaches the session cookie to what a page of a sibling host sends, too: `SameSite`
//! keeps out other sites, not other hosts of the same site (RFC 6265bis section 8.8.2). So a
//! WebSocket handshake must come from a page of the app's own origin, and so must every unsafe
//! request to an app with a `host`. `origins` of the app names further pages.

use http::header::{HOST, HeaderMap, ORIGIN};
use http::{HeaderName, HeaderValue, Method};

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::target::Target;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origin that browsers use for the appliance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOrigin<'a> {
    /// As browsers send it in `Origin`.
    pub text: &'a str,
    /// Its scheme is https.
    pub secure: bool,
}

/// Refuses a WebSocket handshake that a page of another origin makes.
pub(crate) fn check_handshake(
    target: &Target,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    if is_foreign(target, headers, public) { Err(Refusal::CrossSite) } else { Ok(()) }
}

/// Refuses an unsafe request to an app with a `host` that a page of another origin sends with the
/// session of its visitor. Without a session the request has no right that a page could abuse: the
/// callbacks and programming interfaces of an app keep working.
pub(crate) fn check_unsafe(
    target: &Target,
    method: &Method,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    // Other origins post to an issuer by protocol: logins, logouts, tokens.
    if safe || target.route.host.is_none() || target.is_issuer {
        return Ok(());
    }
    if is_foreign(target, headers, public) { Err(Refusal::CrossSite) } else { Ok(()) }
}

/// Whether a page of another origin sends a request. A request without `Origin` and without
/// `Sec-Fetch-Site` does not come from a page.
fn is_foreign(target: &Target, headers: &HeaderMap, public: PublicOrigin<'_>) -> bool {
    let named = |one: &HeaderValue| {
        let allowed = &target.route.origins;
        allowed.iter().any(|origin| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    };
    if target.route.origins.iter().any(|origin| origin == "*") {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(_), Some(_)) => true,
        // A page that sends no referrer hides the origin of its forms. Then, and where there is no
        // `Origin` at all, the browser's own judgement decides.
        (None, _) => is_other_site(headers).unwrap_or(false),
        (Some(origin), None) if origin == "null" => is_other_site(headers).unwrap_or(true),
        (Some(origin), None) => !is_own(target, headers, public, origin) && !named(origin),
    }
}

/// Whether the browser says that another origin makes it send the request; `None` if it does not
/// say.
fn is_other_site(headers: &HeaderMap) -> Option<bool> {
    let site = headers.get(FETCH_SITE)?;
    Some(site != "same-origin" && site != "none")
}

/// Whether an origin is that of the app: of its `host` as the browser names it, or of `public_url`.
fn is_own(
    target: &Target,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
    origin: &HeaderValue,
) -> bool {
    let origin = origin.as_bytes();
    if target.route.host.is_none() {
        return origin.eq_ignore_ascii_case(public.text.as_bytes());
    }
    let (scheme, port): (&[u8], &[u8]) =
        if public.secure { (b"https://", b":443") } else { (b"http://", b":80") };
    let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    // Browsers leave the port of the scheme out of both.
    let host = host.strip_suffix(port).unwrap_or(host);
    let rest =
        origin.get(scheme.len()..).filter(|_| origin[..scheme.len()].eq_ignore_ascii_case(scheme));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::{app, config, target};

    const PUBLIC: PublicOrigin<'_> = PublicOrigin { text: "http://apps.test:8080", secure: false };

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn vault(origins: &[&str]) -> Target {
        let mut app = app("vault", "/", 1);
        let route = app.route.as_mut().unwrap();
        route.host = Some("vault.apps.test".to_owned());
        route.origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        target(&config(8080, vec![app]))
    }

    fn asks(target: &Target, host: &'static str, lines: &[(&'static str, &'static str)]) -> bool {
        let headers = map(&[&[("host", host)], lines].concat());
        let allowed = check_unsafe(target, &Method::POST, &headers, PUBLIC).is_ok();
        assert_eq!(check_handshake(target, &headers, PUBLIC).is_ok(), allowed, "{lines:?}");
        allowed
    }

    #[test]
    fn only_pages_of_its_own_origin_act_on_an_app_with_a_host() {
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
    fn further_origins_are_named() {
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
    fn apps_of_the_public_host_and_safe_methods() {
        let public = target(&config(8080, vec![app("pub", "/pub", 1)]));
        let sibling = map(&[("origin", "http://vault.apps.test:8080"), ("host", "apps.test:8080")]);
        let own = map(&[("origin", "http://apps.test:8080"), ("host", "apps.test:8080")]);
        assert!(check_handshake(&public, &own, PUBLIC).is_ok());
        assert!(check_handshake(&public, &sibling, PUBLIC).is_err());
        assert!(check_unsafe(&public, &Method::POST, &sibling, PUBLIC).is_ok());
        let foreign = map(&[("origin", "http://evil.test"), ("host", "vault.apps.test")]);
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
