//! What scripts and frames of other apps must not get of an app that has the same origin: the
//! sign-in pages, codes and tokens of an issuer.
//!
//! Such a script can send requests with the cookies of the visitor and read the responses, so a code
//! that the issuer grants without a question would be the script's. Browsers say in `Sec-Fetch-*`
//! who asks, except over plain http to another machine; there, only the headers of the response and
//! the issuer itself protect people.

use http::header::{CONTENT_SECURITY_POLICY, HeaderMap, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue};

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::route::routed_app::{Audience, RoutedApp};

pub(crate) const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const NO_FRAMES: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
/// The page that opens it gets no handle of its window, also one of the same origin.
pub(crate) const NO_OPENER: HeaderValue = HeaderValue::from_static("noopener-allow-popups");

/// Refuses what the audience of a decoded path does not include.
pub(crate) fn check(app: &RoutedApp, path: &[u8], headers: &HeaderMap) -> Result<(), Refusal> {
    let admitted = match app.audience(path) {
        Audience::Everybody => true,
        Audience::People => browser::opens_a_page(headers),
        Audience::Programs => !browser::is_browser(headers),
    };
    if admitted { Ok(()) } else { Err(Refusal::Shielded) }
}

/// Adds to what people are shown that no other page may hold its window, and, unless a console needs
/// it in a frame, that no other page may frame it.
pub(crate) fn seal(app: &RoutedApp, path: &[u8], headers: &mut HeaderMap) {
    if !app.is_shielded(path) {
        return;
    }
    headers.insert(OPENER_POLICY, NO_OPENER);
    if app.audience(path) == Audience::People {
        headers.insert(X_FRAME_OPTIONS, DENY);
        // Policies add up; each must allow.
        headers.append(CONTENT_SECURITY_POLICY, NO_FRAMES);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Shield;
    use crate::proxy::links::AppLinks;
    use crate::proxy::phases::admit::host::parse_host;
    use crate::proxy::phases::route::routes::Routes;
    use crate::proxy::tests::{app, config};

    fn issuer() -> Arc<RoutedApp> {
        let mut issuer = app("keycloak", "/auth", 1);
        let path = |path: &str| format!("/realms/demo{path}");
        issuer.route.as_mut().unwrap().shield = Shield {
            pages: vec![path("")],
            open: vec![path("/.well-known"), path("/protocol/openid-connect/certs")],
            programs: vec![path("/protocol/openid-connect/token")],
        };
        let routes = Routes::new(&config(8080, vec![issuer]), &AppLinks::default(), None);
        let host = parse_host("localhost:8080").unwrap();
        Arc::clone(routes.find(host, b"/auth").unwrap().app)
    }

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_a_page_of_its_own_shows_the_login() {
        let target = issuer();
        let asked = |path: &str, lines: &[_]| {
            check(&target, format!("/auth/realms/demo{path}").as_bytes(), &map(lines)).is_ok()
        };
        let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let script = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
        let same_origin = [("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty")];
        let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
        let frames = ["iframe", "frame", "embed", "object", "fencedframe"]
            .map(|dest| [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", dest)]);
        for path in ["/protocol/openid-connect/auth", "/login-actions/authenticate", "/account/"] {
            assert!(asked(path, &page) && asked(path, &[]), "{path}");
            for lines in [&script, &same_origin, &image].into_iter().chain(&frames) {
                assert!(!asked(path, lines), "{path} {lines:?}");
            }
        }
        let token = "/protocol/openid-connect/token";
        assert!(asked(token, &[]), "an app's server redeems its code");
        for lines in [&page[..], &script, &[("origin", "http://localhost:8080")]] {
            assert!(!asked(token, lines) && !asked(&format!("{token}/introspect"), lines));
        }
        for path in ["/.well-known/openid-configuration", "/protocol/openid-connect/certs"] {
            assert!(asked(path, &script) && asked(path, &page) && asked(path, &[]), "{path}");
        }
        assert!(check(&target, b"/auth/resources/x.js", &map(&script)).is_ok());
    }

    #[test]
    fn what_people_are_shown_cannot_be_framed() {
        let target = issuer();
        let mut headers = map(&[
            ("x-frame-options", "SAMEORIGIN"),
            ("content-security-policy", "frame-ancestors 'self'"),
        ]);
        seal(&target, b"/auth/realms/demo/protocol/openid-connect/auth", &mut headers);
        assert_eq!(headers.get(X_FRAME_OPTIONS).unwrap(), "DENY");
        let policies: Vec<_> = headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies, ["frame-ancestors 'self'", "frame-ancestors 'none'"]);
        assert_eq!(headers.get(OPENER_POLICY).unwrap(), "noopener-allow-popups");
        let mut headers = map(&[("x-frame-options", "SAMEORIGIN")]);
        seal(&target, b"/auth/resources/x.js", &mut headers);
        assert_eq!(headers.len(), 1);
    }
}
