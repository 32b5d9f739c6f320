//! Confines the cookies of an app's response to the app's path and host.
//!
//! A browser sends a cookie to every app whose path and host it matches. An app that receives a cookie
//! of another app takes the cookie for its own, for example as the begin of another person's login.

use std::borrow::Cow;

use http::HeaderValue;
use http::header::{HeaderMap, SET_COOKIE};

use crate::proxy::phases::route::neighbours::Neighbours;

/// Drops cookies for the path of another app, and removes the `Domain` of cookies that reach another
/// host of the appliance. `path` is the path of the request as sent.
pub(crate) fn confine(headers: &mut HeaderMap, neighbours: &Neighbours, path: &str) {
    let lines = headers.get_all(SET_COOKIE);
    if lines.iter().all(|line| matches!(confined(line, neighbours, path), Some(Cow::Borrowed(_)))) {
        return;
    }
    let kept: Vec<HeaderValue> = lines
        .iter()
        .filter_map(|line| Some(confined(line, neighbours, path)?.into_owned()))
        .collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

/// The `Set-Cookie` value for the client: unchanged or without its `Domain`; `None` if it is dropped.
fn confined<'a>(
    line: &'a HeaderValue,
    neighbours: &Neighbours,
    path: &str,
) -> Option<Cow<'a, HeaderValue>> {
    if is_for_another_app(line.as_bytes(), neighbours, path) {
        return None;
    }
    let reaches = |attribute: &[u8]| {
        value_of(attribute, b"domain").is_some_and(|domain| {
            let domain = domain.strip_prefix(b".").unwrap_or(domain);
            // A browser maps other characters to a host name, for example full-width letters, and
            // refuses the rest.
            let is_plain = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            !domain.iter().all(is_plain)
                || str::from_utf8(domain).is_ok_and(|domain| neighbours.reaches_other_host(domain))
        })
    };
    if !attributes(line.as_bytes()).any(reaches) {
        return Some(Cow::Borrowed(line));
    }
    let mut bound = Vec::with_capacity(line.len());
    for (place, part) in line.as_bytes().split(|&b| b == b';').enumerate() {
        if place == 0 {
            bound.extend_from_slice(part);
        } else if value_of(part, b"domain").is_none() {
            bound.push(b';');
            bound.extend_from_slice(part);
        }
    }
    HeaderValue::from_bytes(&bound).ok().map(Cow::Owned)
}

/// Whether a browser stores the cookie for the path of another app. Browsers use the last `Path`, or the
/// folder of the request without a valid one (RFC 6265 sections 5.2.4 and 5.1.4). Here every `Path` of
/// the line counts, because a second one has no use.
fn is_for_another_app(line: &[u8], neighbours: &Neighbours, request: &str) -> bool {
    let mut last = None;
    for value in attributes(line).filter_map(|attribute| value_of(attribute, b"path")) {
        let path = value.strip_prefix(b"\"").unwrap_or(value);
        let path = path.strip_suffix(b"\"").unwrap_or(path);
        if path.starts_with(b"/") && neighbours.is_others(path) {
            return true;
        }
        last = Some(value);
    }
    if last.is_some_and(|path| path.starts_with(b"/")) {
        return false;
    }
    let folder = match request.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &request[..end],
    };
    neighbours.is_others(folder.as_bytes())
}

fn attributes(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b';').skip(1)
}

/// The value of an attribute; `None` if it has another name.
fn value_of<'a>(attribute: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = memchr::memchr(b'=', attribute)?;
    let is_it = attribute[..equals].trim_ascii().eq_ignore_ascii_case(name);
    is_it.then(|| attribute[equals + 1..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::phases::route::routed_app::RoutedApp;
    use crate::proxy::tests::{app, config, routed_app};

    fn wiki() -> RoutedApp {
        let mut apps = vec![
            app("wiki", "/wiki", 1),
            app("other", "/other", 1),
            app("nested", "/wiki/a:b", 1),
            app("vault", "/", 1),
        ];
        apps[3].route.as_mut().unwrap().host = Some("vault.localhost".to_owned());
        routed_app(&config(8080, apps))
    }

    fn left(request: &str, lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        confine(&mut headers, &wiki().neighbours, request);
        let left = headers.get_all(SET_COOKIE).iter();
        left.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn cookies_for_the_apps_own_path_and_the_root_are_kept() {
        for line in [
            "a=1",
            "a=1; HttpOnly",
            "a=1; Path=/",
            "a=1; Path=/wiki",
            "a=1;path=/wiki/x; Secure",
            "a=1; Path=/elsewhere",
            "a=1; Path=/otherwise",
            "a=1; Path=; Secure",
            "a=Path=/other",
            "a=1; Domain=example.org",
            "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Path=/wiki",
        ] {
            assert_eq!(left("/wiki/x", &[line]), [line]);
        }
    }

    #[test]
    fn cookies_for_another_apps_path_are_dropped() {
        for line in [
            "a=1; Path=/other",
            "a=1; Path=/other/realms/x/",
            "a=1; pAtH = /other ; Secure",
            "a=1;PATH=/OTHER",
            "a=1; Path=/%6fther/x",
            "a=1; Path=/wiki/a%3Ab",
            "a=1; Path=/wiki; Path=/other",
            "a=1; Path=/other; Path=/wiki",
            "a=1; Path=\"/other\"",
            "a=1; Path=/oauth2/callback",
            "a=1; Path=/_appliance",
        ] {
            assert!(left("/wiki/x", &[line]).is_empty(), "{line}");
        }
        assert_eq!(
            left("/wiki/x", &["a=1; Path=/", "b=1; Path=/other", "c=1"]),
            ["a=1; Path=/", "c=1"]
        );
    }

    #[test]
    fn without_a_path_the_folder_of_the_request_counts() {
        for request in ["/wiki", "/wiki/", "/wiki/x/y"] {
            assert_eq!(left(request, &["a=1"]), ["a=1"], "{request}");
        }
        for request in ["/other/x", "/wiki/a%3Ab/x"] {
            assert!(left(request, &["a=1"]).is_empty(), "{request}");
            assert!(left(request, &["a=1; Path=wiki"]).is_empty(), "{request}");
        }
    }

    #[test]
    fn a_domain_that_reaches_another_host_is_removed() {
        for (line, wanted) in [
            ("a=1; Domain=localhost; Path=/wiki", "a=1; Path=/wiki"),
            ("a=1; Domain=loc%61lhost; Path=/wiki", "a=1; Path=/wiki"),
            ("a=1; Domain=\"localhost\"", "a=1"),
            ("a=1; Path=/; DOMAIN=.LocalHost; Secure", "a=1; Path=/; Secure"),
            ("a=1; domain=vault.localhost; Domain=x", "a=1"),
        ] {
            assert_eq!(left("/wiki/x", &[line]), [wanted]);
        }
    }
}
