//! The address that the browser used, if a proxy in front of the appliance changes the host or the
//! scheme of the request. Only headers of a trusted proxy count.

use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use super::routes::Routes;
use crate::proxy::phases::admit::client_address::RequestSource;
use crate::proxy::phases::admit::host::{Host, parse_host};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Replaces the `Host` of a request by `X-Forwarded-Host`, if the proxy in front of the appliance has
/// replaced the browser's. Returns the browser's host.
///
/// A known `Host` stays: otherwise a page under the host of one app could reach another app by a header
/// that the proxy in front passes on from clients.
pub(crate) fn restore_host(
    routes: &Routes,
    source: &RequestSource,
    head: &mut Parts,
) -> Option<HeaderValue> {
    if !source.trusted || head.uri.authority().is_some() {
        return None;
    }
    let sent = single_host(&head.headers)?;
    if routes.knows(sent) {
        return None;
    }
    let browsers = forwarded_host(&head.headers)?;
    if !routes.knows(parse_host(browsers)?) {
        return None;
    }
    let browsers = HeaderValue::from_str(browsers).ok()?;
    head.headers.insert(HOST, browsers.clone());
    Some(browsers)
}

fn single_host(headers: &HeaderMap) -> Option<Host<'_>> {
    let mut lines = headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => parse_host(line.to_str().ok()?),
        _ => None,
    }
}

/// The last element of `X-Forwarded-Host`. A proxy that does not replace the header appends to it, so
/// the last element comes from the nearest proxy.
fn forwarded_host(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all(FORWARDED_HOST).iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next().map(str::trim)
}

/// The https address of a page that a browser has requested by http, although `public_url` is https.
/// Every other request stays: a redirect cannot protect what it has already sent.
pub(crate) fn secure_location(
    routes: &Routes,
    source: &RequestSource,
    method: &Method,
    host: Host<'_>,
    target: &PathAndQuery,
) -> Option<String> {
    let by_http = source.secure == Some(false);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let origin = routes.secure_origin(host).filter(|_| by_http && reads)?;
    Some(format!("{origin}{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::links::AppLinks;
    use crate::proxy::tests::{app, config};

    fn routes(secure: bool, port: u16) -> Routes {
        let mut hosted = app("vault", "/", 1);
        hosted.route.as_mut().unwrap().host = Some("vault.test".to_owned());
        let mut config = config(port, vec![app("app", "/app", 1), hosted]);
        config.server.public_url.secure = secure;
        Routes::new(&config, &AppLinks::default(), None)
    }

    fn source(trusted: bool, secure: Option<bool>) -> RequestSource {
        RequestSource { client: None, forwarded_for: None, secure, trusted }
    }

    fn restored(trusted: bool, lines: &[(&'static str, &'static str)]) -> Option<String> {
        let mut request = http::Request::new(());
        *request.uri_mut() = "/app".parse().unwrap();
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let mut head = request.into_parts().0;
        let found = restore_host(&routes(true, 443), &source(trusted, None), &mut head);
        assert!(found.is_none() || head.headers.get(HOST) == found.as_ref());
        found.map(|host| host.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_last_forwarded_host_replaces_an_unknown_host() {
        let unknown = ("host", "10.0.0.9:8080");
        let known = ("x-forwarded-host", "localhost");
        for (lines, wanted) in [
            (vec![unknown, known], Some("localhost")),
            (vec![unknown, ("x-forwarded-host", "LocalHost:443")], Some("LocalHost:443")),
            (vec![unknown, ("x-forwarded-host", "vault.test")], Some("vault.test")),
            (vec![unknown, ("x-forwarded-host", "evil.test, localhost")], Some("localhost")),
            (vec![unknown, ("x-forwarded-host", "evil.test"), known], Some("localhost")),
            (vec![unknown, ("x-forwarded-host", "localhost, evil.test")], None),
            (vec![unknown, known, ("x-forwarded-host", "evil.test")], None),
            (vec![unknown, ("x-forwarded-host", "")], None),
            (vec![unknown, ("x-forwarded-host", "localhost/x")], None),
            (vec![unknown], None),
            (vec![known], None),
            (vec![unknown, unknown, known], None),
            // A known host stays.
            (vec![("host", "localhost"), ("x-forwarded-host", "vault.test")], None),
            (vec![("host", "vault.test"), known], None),
        ] {
            assert_eq!(restored(true, &lines).as_deref(), wanted, "{lines:?}");
            assert_eq!(restored(false, &lines), None, "{lines:?}");
        }
    }

    #[test]
    fn pages_under_an_https_address_are_requested_by_https() {
        let location = |port, secure, by, method: &Method, host| {
            let host = parse_host(host).unwrap();
            let target = "/app/x?y=%2F".parse().unwrap();
            secure_location(&routes(secure, port), &source(true, by), method, host, &target)
        };
        let http = Some(false);
        for (port, host, wanted) in [
            (443, "localhost", Some("https://localhost/app/x?y=%2F")),
            (443, "LOCALHOST", Some("https://localhost/app/x?y=%2F")),
            (8443, "localhost:8443", Some("https://localhost:8443/app/x?y=%2F")),
            (443, "vault.test", Some("https://vault.test/app/x?y=%2F")),
            (8443, "Vault.test", Some("https://Vault.test:8443/app/x?y=%2F")),
            (443, "evil.test", None),
        ] {
            assert_eq!(
                location(port, true, http, &Method::GET, host).as_deref(),
                wanted,
                "{port} {host}"
            );
        }
        assert!(location(443, true, http, &Method::HEAD, "localhost").is_some());
        for (secure, by, method) in [
            (true, None, Method::GET),
            (true, Some(true), Method::GET),
            (true, http, Method::POST),
            (true, http, Method::OPTIONS),
        ] {
            assert_eq!(location(443, secure, by, &method, "localhost"), None, "{by:?} {method}");
        }
        assert_eq!(location(80, false, http, &Method::GET, "localhost"), None);
    }
}
