//! Gives the head of an HTTP/2 request the form of HTTP/1.1, which all phases and all apps know.
//!
//! h2 has checked the rules of RFC 9113 section 8: pseudo-header fields, lower-case names, no
//! connection-specific fields.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Uri};
use http_body::Body;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Translates a head. `:authority` becomes `Host`; if there is a `Host` as well, both stay, and
/// [`super::admission`] compares them.
pub(crate) fn translate<B: Body>(request: &mut Request<B>) {
    let has_body = !request.body().is_end_stream();
    set_host(request);
    let headers = request.headers_mut();
    join_cookies(headers);
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        // The end of a stream is the end of its body; HTTP/1.1 has to say so beforehand.
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
}

fn set_host<B>(request: &mut Request<B>) {
    if request.headers().contains_key(HOST) {
        return;
    }
    let uri = request.uri();
    let host = uri.authority().and_then(|own| HeaderValue::from_str(own.as_str()).ok());
    let Some(host) = host else { return };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let path = uri.path_and_query().filter(|_| is_http).cloned();
    request.headers_mut().insert(HOST, host);
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
}

/// Joins the lines of `Cookie`: HTTP/2 may send each cookie in one of its own (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(COOKIE);
    if lines.iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = lines.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::Version;
    use http_body_util::{Either, Empty, Full};

    use super::*;

    /// The target, and the headers in order of their names.
    fn translated(
        target: &str,
        lines: &[(&'static str, &str)],
        has_body: bool,
    ) -> (String, String) {
        let body = if has_body {
            Either::Left(Full::new(bytes::Bytes::from_static(b"x")))
        } else {
            Either::Right(Empty::new())
        };
        let mut request = Request::new(body);
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        translate(&mut request);
        let headers = request.headers().iter();
        let mut found: Vec<_> =
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        found.sort_unstable();
        (request.uri().to_string(), found.join(", "))
    }

    #[test]
    fn a_head_has_the_form_of_http_1() {
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "")];
        let long = [("content-length", "1")];
        for (target, lines, has_body, uri, headers) in [
            ("https://a.test/x?y", &[][..], false, "/x?y", "host: a.test"),
            ("http://A.test:80/x", &[], false, "/x", "host: A.test:80"),
            // Both are compared later.
            ("https://a.test/x", &[("host", "b.test")], false, "https://a.test/x", "host: b.test"),
            ("/x", &[("host", "b.test")], false, "/x", "host: b.test"),
            ("/x", &[], false, "/x", ""),
            // Refused later.
            ("ftp://a.test/x", &[], false, "ftp://a.test/x", "host: a.test"),
            ("a.test:443", &[], false, "a.test:443", "host: a.test:443"),
            ("/x", &crumbs, false, "/x", "cookie: a=1; b=2; c=3; "),
            ("/x", &crumbs[1..2], false, "/x", "cookie: b=2; c=3"),
            ("/x", &[], true, "/x", "transfer-encoding: chunked"),
            ("/x", &long, true, "/x", "content-length: 1"),
        ] {
            let wanted = (uri.to_owned(), headers.to_owned());
            assert_eq!(translated(target, lines, has_body), wanted, "{target} {lines:?}");
        }
    }
}
