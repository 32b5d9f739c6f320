//! The way out for a browser whose cookies are larger than the headers of a request may be: a response
//! that deletes them.
//!
//! A request does not tell for which path and domain its cookies were set, so a cookie is deleted at
//! every place where the request can have got it. One response deletes some of the cookies, the largest
//! first: the page and its button come again until the rest is small enough.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::compose::empty;
use crate::auth::cookie::cookies::places;
use crate::config::is_loopback_host;

/// The query by which the button on the page about too large cookies asks for this response, at the
/// path that was refused: the browser sends the cookies of narrower paths only there.
pub(crate) const QUERY: &str = "appliance-delete-cookies";
/// The action of the button's form.
pub(crate) const ACTION: &str = "?appliance-delete-cookies";
/// The same at a path of the appliance.
pub(crate) const PATH: &str = "/_appliance/cookies";
pub(crate) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Most bytes of `Set-Cookie` lines: a proxy in front may refuse a larger head.
const BUDGET: usize = 3500;

/// The cookies of a request: their names with their sizes, and where the request went.
#[derive(Debug)]
pub(crate) struct CookieJar<'a> {
    pub sizes: BTreeMap<&'a str, usize>,
    pub path: &'a str,
    pub host: &'a str,
    /// The browser uses https.
    pub secure: bool,
}

/// A redirect to the same path that deletes cookies. Browsers obey `Clear-Site-Data` only over https
/// and on the same machine, so cookies are deleted by name as well. Elsewhere the header is left out:
/// Chromium then ignores the `Set-Cookie` lines of the response.
pub(crate) fn respond(jar: &CookieJar<'_>) -> Response<Bytes> {
    let mut response = empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    let is_local = jar.path != PATH && jar.path.starts_with('/') && !jar.path.starts_with("//");
    let back = HeaderValue::from_str(jar.path).ok().filter(|_| is_local);
    headers.insert(LOCATION, back.unwrap_or(HeaderValue::from_static("/")));
    if jar.secure || is_this_machine(jar.host) {
        headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cookies\""));
    }
    add_removals(headers, jar);
    response
}

/// Whether browsers treat the host like https.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    is_loopback_host(name)
}

/// The first half of the budget deletes the largest cookies wherever they can be, so that each press of
/// the button has an effect. The second half deletes others where most cookies are, at `/`.
fn add_removals(headers: &mut HeaderMap, jar: &CookieJar<'_>) {
    let mut cookies: Vec<_> = jar.sizes.iter().filter(|(name, _)| is_name(name)).collect();
    cookies.sort_by_key(|(_, size)| std::cmp::Reverse(**size));
    let mut left = BUDGET;
    for (name, _) in cookies {
        let is_first_half = left > BUDGET / 2;
        for (path, domain) in places(jar.path, jar.host) {
            if path != "/" && !is_first_half {
                break;
            }
            let line = removal(name, path, domain);
            let Some(rest) = left.checked_sub(line.len()) else { return };
            left = rest;
            if let Ok(line) = HeaderValue::from_str(&line) {
                headers.append(SET_COOKIE, line);
            }
        }
    }
}

fn removal(name: &str, path: &str, domain: Option<&str>) -> String {
    let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
    let secure = if name.starts_with("__") { "; Secure" } else { "" };
    format!("{name}=; Max-Age=0; Path={path}{domain}{secure}")
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_treated_like_https() {
        for (host, is_local) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("auth.localhost:8080", true),
            ("127.0.0.1:80", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("127.example.com", false),
            ("localhost.example.com", false),
            ("[2001:db8::1]:80", false),
        ] {
            assert_eq!(is_this_machine(host), is_local, "{host}");
        }
    }

    fn lines(names: &[(&'static str, usize)], path: &str, host: &str) -> Vec<String> {
        let response = respond(&CookieJar {
            sizes: names.iter().copied().collect(),
            path,
            host,
            secure: false,
        });
        let lines = response.headers().get_all(SET_COOKIE).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn cookies_are_deleted_as_a_whole_and_by_name() {
        let names = ["a", "", "b c", "__Host-x", "e,", "\u{e9}"].map(|name| (name, 1));
        let jar = CookieJar {
            sizes: names.into_iter().collect(),
            path: PATH,
            host: "localhost:1",
            secure: false,
        };
        let response = respond(&jar);
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()[CLEAR_SITE_DATA], "\"cookies\"");
        assert_eq!(response.headers()[LOCATION], "/");
        let lines = lines(&names, "/", "localhost:1");
        assert_eq!(lines, ["__Host-x=; Max-Age=0; Path=/; Secure", "a=; Max-Age=0; Path=/"]);
    }

    #[test]
    fn the_browser_goes_back_to_the_page_that_was_refused() {
        for (path, wanted) in
            [("/app/x", "/app/x"), ("//evil.test", "/"), ("http://evil.test/", "/"), ("/\n", "/")]
        {
            let response = respond(&CookieJar {
                sizes: BTreeMap::new(),
                path,
                host: "a.test",
                secure: path == "/app/x",
            });
            assert_eq!(response.headers()[LOCATION], wanted, "{path}");
            let clears = response.headers().contains_key(CLEAR_SITE_DATA);
            assert_eq!(clears, path == "/app/x", "over https");
        }
    }

    #[test]
    fn a_cookie_is_deleted_wherever_it_can_have_been_set() {
        let removed = lines(&[("c", 9)], "/app/x", "apps.corp.example:8080");
        for wanted in [
            "c=; Max-Age=0; Path=/",
            "c=; Max-Age=0; Path=/; Domain=corp.example",
            "c=; Max-Age=0; Path=/; Domain=apps.corp.example",
            "c=; Max-Age=0; Path=/app",
            "c=; Max-Age=0; Path=/app/; Domain=corp.example",
            "c=; Max-Age=0; Path=/app/x; Domain=apps.corp.example",
        ] {
            assert!(removed.iter().any(|line| line == wanted), "{wanted} {removed:?}");
        }
        assert_eq!(removed.len(), 4 * 3);
    }

    /// A browser that has only cookies of the narrowest kind gets rid of all of them.
    #[test]
    fn every_press_deletes_the_largest_cookies_and_many_presses_all() {
        let names: Vec<String> = (0..300).map(|at| format!("bomb{at}")).collect();
        let mut jar: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), 100 + at)).collect();
        let wanted = |name: &str| format!("{name}=; Max-Age=0; Path=/app/x; Domain=apps.test");
        for _ in 0..100 {
            let response = respond(&CookieJar {
                sizes: jar.clone(),
                path: "/app/x",
                host: "apps.test",
                secure: false,
            });
            let lines: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
            assert!(lines.iter().map(|line| line.len()).sum::<usize>() <= BUDGET);
            let largest = jar.iter().max_by_key(|(_, size)| **size).map(|(name, _)| *name).unwrap();
            assert!(lines.iter().any(|line| **line == wanted(largest).as_str()), "{largest}");
            jar.retain(|name, _| !lines.iter().any(|line| **line == wanted(name).as_str()));
            if jar.is_empty() {
                return;
            }
        }
        panic!("{} cookies are left", jar.len());
    }
}
