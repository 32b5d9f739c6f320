//! Requests whose headers are too large: which header is the largest, and the request of a person who
//! wants to delete the cookies that make the headers too large.
//!
//! Such a request may never be complete: [`parse_start`] reads what has arrived of it.

use std::collections::BTreeMap;

use http::header::{COOKIE, HOST, HeaderMap};
use http::{HeaderName, HeaderValue, Method};

use super::browser;
use crate::auth::intent;
use crate::proxy::answer::clear_cookies::{self, CookieJar};
use crate::proxy::answer::refusal::Refusal;

/// Most header fields of a request.
pub(crate) const MAX_FIELDS: usize = 128;
/// The longest name of a header that the page and the log show.
const MAX_NAME: usize = 64;

/// Whether the header lines have more than `max` bytes.
pub(crate) fn are_oversized(headers: &HeaderMap, max: usize) -> bool {
    size(headers) > max
}

fn size(headers: &HeaderMap) -> usize {
    // 4 bytes: ": " and the end of the line.
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The refusal of a request with too large headers. It names the header that has the most bytes.
pub(crate) fn refusal(headers: &HeaderMap) -> Refusal {
    if headers.len() > MAX_FIELDS {
        return Refusal::TooManyHeaders;
    }
    let size = |name: &HeaderName| -> usize {
        headers.get_all(name).iter().map(|value| name.as_str().len() + value.len() + 4).sum()
    };
    let largest = headers.keys().map(|name| (size(name), name)).max_by_key(|(size, _)| *size);
    let (bytes, name) = largest.map_or((0, ""), |(bytes, name)| (bytes, name.as_str()));
    let name = if name == COOKIE.as_str() { "Cookie" } else { name };
    Refusal::HeadersTooLarge { header: name.chars().take(MAX_NAME).collect(), bytes }
}

/// Whether a person presses the button that deletes the cookies: a page of the same origin opens the
/// address in a tab, and the headers are close to `max` bytes. A page of another origin could otherwise
/// sign people out, and so could a script of an app. The button's request has other headers than the
/// one that was refused, and may be somewhat smaller. `secure`: the browser uses https.
pub(crate) fn asks_to_clear_cookies(
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    secure: bool,
    max: usize,
) -> bool {
    let from_own_page = || {
        browser::own_origin(headers, secure).is_some_and(|own| intent::is_own_form(headers, &own))
    };
    let asks = match target.split_once('?') {
        Some((_, query)) => query == clear_cookies::QUERY,
        None => target == clear_cookies::PATH,
    };
    *method == Method::POST
        && asks
        && are_oversized(headers, max / 2)
        && browser::opens_a_page(headers)
        && from_own_page()
}

/// The cookies in a request.
pub(crate) fn cookie_jar<'a>(
    target: &'a str,
    headers: &'a HeaderMap,
    secure: bool,
) -> CookieJar<'a> {
    let mut sizes = BTreeMap::new();
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    for pair in lines.flat_map(|line| line.split(|&byte| byte == b';')) {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        if let Ok(name) = std::str::from_utf8(name.trim_ascii()) {
            *sizes.entry(name).or_default() += pair.len();
        }
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    CookieJar { sizes, path, host, secure }
}

/// Reads the beginning of a request head. The last header may be incomplete. `None` if the bytes do
/// not begin with a request line and a header.
pub(crate) fn parse_start(bytes: &[u8]) -> Option<(Method, String, HeaderMap)> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let (target, _) = rest.split_once(" HTTP/1.")?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    Some((method.parse().ok()?, target.to_owned(), headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_largest_header_is_named() {
        for (lines, wanted, size) in [
            (vec![("cookie", "a=1; b=2"), ("x", "1")], "Cookie", 18),
            (vec![("cookie", "a"), ("cookie", "b"), ("x-y", "12345")], "Cookie", 22),
            (vec![("cookie", "a"), ("x-long", "1234567")], "x-long", 17),
            (vec![], "", 0),
        ] {
            let Refusal::HeadersTooLarge { header, bytes } = refusal(&headers(&lines)) else {
                panic!("{lines:?}");
            };
            assert_eq!((header.as_str(), bytes), (wanted, size), "{lines:?}");
        }
    }

    #[test]
    fn only_a_person_on_an_own_page_deletes_cookies() {
        let (host, own) = (("host", "apps.test:8080"), ("origin", "http://apps.test:8080"));
        let jar = ("cookie", "c=0123456789012345678901234567890123456789");
        let asks = |method: Method, path: &str, lines: &[_], secure, max| {
            asks_to_clear_cookies(&method, path, &headers(lines), secure, max)
        };
        let navigates = ("sec-fetch-mode", "navigate");
        for (lines, wanted) in [
            (vec![host, own], true),
            (vec![host, ("origin", "HTTP://Apps.test:8080")], true),
            (vec![host, own, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, own, navigates, ("sec-fetch-dest", "document")], true),
            (vec![("host", "apps.test:80"), ("origin", "http://apps.test")], true),
            // A script, a frame.
            (vec![host, own, ("sec-fetch-mode", "cors")], false),
            (vec![host, own, ("sec-fetch-mode", "no-cors")], false),
            (vec![host, own, ("sec-fetch-mode", "same-origin")], false),
            (vec![host, own, navigates, ("sec-fetch-dest", "iframe")], false),
            // Another page.
            (vec![host], false),
            (vec![own], false),
            (vec![host, host, own], false),
            (vec![host, ("origin", "https://apps.test:8080")], false),
            (vec![host, own, ("sec-fetch-site", "cross-site")], false),
            (vec![host, own, ("sec-fetch-site", "same-site")], false),
            (vec![host, own, ("origin", "http://evil.test")], false),
            (vec![host, ("origin", "http://apps.test")], false),
            (vec![host, ("origin", "http://evil.test")], false),
            (vec![host, ("origin", "null")], false),
            (vec![("host", ""), ("origin", "http://")], false),
        ] {
            let lines: Vec<_> = lines.into_iter().chain([jar]).collect();
            assert_eq!(
                asks(Method::POST, "/_appliance/cookies", &lines, false, 64),
                wanted,
                "{lines:?}"
            );
            let here = "/app/x?appliance-delete-cookies";
            assert_eq!(asks(Method::POST, here, &lines, false, 64), wanted, "{lines:?}");
            assert!(!asks(Method::GET, here, &lines, false, 64), "{lines:?}");
            assert!(!asks(Method::POST, "/app/x?y", &lines, false, 64), "{lines:?}");
            assert!(!asks(Method::GET, "/_appliance/cookies", &lines, false, 64), "{lines:?}");
            assert!(!asks(Method::POST, "/", &lines, false, 64), "{lines:?}");
            // The headers are far from the limit.
            assert!(!asks(Method::POST, "/_appliance/cookies", &lines, false, 1024), "{lines:?}");
        }
        let secure = [host, ("origin", "https://apps.test:8080"), jar];
        assert!(asks(Method::POST, "/_appliance/cookies", &secure, true, 64));
        let plain = [host, own, jar];
        assert!(!asks(Method::POST, "/_appliance/cookies", &plain, true, 64));
    }

    #[test]
    fn the_beginning_of_a_head_is_read() {
        let start = b"POST /x?y HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\nCookie: one=1; two=2; thr";
        let (method, target, headers) = parse_start(start).unwrap();
        assert_eq!((method, target.as_str()), (Method::POST, "/x?y"));
        assert_eq!(headers.get("host").unwrap(), "a");
        let jar = cookie_jar(&target, &headers, false);
        let sizes: Vec<_> = jar.sizes.into_iter().collect();
        assert_eq!(sizes, [("one", 5), ("thr", 4), ("two", 6)]);
        assert_eq!((jar.path, jar.host), ("/x", "a"));
        for bad in ["", "GET", "GET /x\r\n", "\x16\x03\x01", "x".repeat(100).as_str()] {
            assert!(parse_start(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
