//! Which responses are compressed: texts that any cache may keep, so that no login decides about them.

use http::HeaderValue;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, SET_COOKIE, VARY,
};

use crate::proxy::phases::headers::content_coding::Coding;

/// A shorter text fits into one packet, compressed or not.
const SHORTEST: u64 = 1024;
/// A text that is used for so long, in seconds, is worth keeping.
const LONG: u64 = 24 * 60 * 60;
/// Checksums of what is sent (RFC 9530, RFC 3230).
const CHECKSUMS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Whether a response may be compressed and is worth it.
pub(super) fn is_eligible(headers: &HeaderMap, length: Option<u64>) -> bool {
    let forbidden = [SET_COOKIE, CONTENT_ENCODING, CONTENT_RANGE];
    is_public(headers)
        && !is_personal(headers)
        && length.is_none_or(|length| length >= SHORTEST)
        && is_text(headers)
        && !forbidden.iter().any(|name| headers.contains_key(name))
        && !CHECKSUMS.iter().any(|name| headers.contains_key(*name))
}

/// Whether browsers may use the response for so long that it is compressed once for all of them.
pub(super) fn is_kept_long(headers: &HeaderMap) -> bool {
    directives(headers).any(|one| {
        let age = one.get(..8).filter(|name| name.eq_ignore_ascii_case("max-age="));
        let age = age.and_then(|_| one[8..].trim_matches('"').parse().ok());
        one.eq_ignore_ascii_case("immutable") || age.is_some_and(|age: u64| age >= LONG)
    })
}

/// Says that the response depends on `Accept-Encoding`, compressed or not.
pub(super) fn add_vary(headers: &mut HeaderMap) {
    let mut names = headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok());
    let says_so = |name: &str| name == "*" || name.eq_ignore_ascii_case("accept-encoding");
    if !names.any(|line| line.split(',').any(|name| says_so(name.trim()))) {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Describes the compressed response: another representation, which has another length and another tag,
/// and of which no ranges can be asked for (RFC 9110 sections 8.8.1 and 14).
pub(super) fn announce(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, coding.name());
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    if let Some(tag) = headers.get_mut(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
    {
        match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
            Ok(weak) => *tag = weak,
            Err(_) => drop(headers.remove(ETAG)),
        }
    }
}

fn is_public(headers: &HeaderMap) -> bool {
    let mut public = false;
    for one in directives(headers) {
        let is = |name: &str| one.eq_ignore_ascii_case(name);
        // With the name of a header it is about that header alone, which is not believed here.
        let is_private = one.get(..7).is_some_and(|name| name.eq_ignore_ascii_case("private"));
        if is_private || is("no-store") || is("no-transform") {
            return false;
        }
        public |= is("public") || is("immutable");
    }
    public
}

/// What depends on these headers depends on the person, whatever `Cache-Control` says.
fn is_personal(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VARY).iter().map(|line| line.to_str().unwrap_or("*"));
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|name| {
        ["*", "cookie", "authorization"].iter().any(|one| name.eq_ignore_ascii_case(one))
    })
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines =
        headers.get_all(CACHE_CONTROL).iter().map(|line| line.to_str().unwrap_or("private"));
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn is_text(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((family, name)) = kind.split_once('/') else { return false };
    match family {
        // Events must arrive one by one.
        "text" => name != "event-stream",
        _ if name.ends_with("+json") || name.ends_with("+xml") => true,
        "application" => {
            matches!(name, "javascript" | "x-javascript" | "ecmascript" | "json" | "xml")
        }
        _ => false,
    }
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
    fn only_public_texts_are_compressed() {
        let (script, public) = (("content-type", "text/javascript"), ("cache-control", "public"));
        for (lines, expected) in [
            (&[script, public][..], true),
            (&[script, ("cache-control", "max-age=9, IMMUTABLE")], true),
            (&[script, ("cache-control", "max-age=9"), public], true),
            (&[script], false),
            (&[script, ("cache-control", "max-age=600")], false),
            (&[script, ("cache-control", "public, private")], false),
            (&[script, public, ("cache-control", "private=\"x\"")], false),
            (&[script, ("cache-control", "public, No-Store")], false),
            (&[script, ("cache-control", "public, no-transform")], false),
            (&[script, public, ("set-cookie", "a=1")], false),
            (&[script, public, ("content-encoding", "gzip")], false),
            (&[script, public, ("content-encoding", "identity")], false),
            (&[script, public, ("content-range", "bytes 0-1/2")], false),
            (&[script, public, ("repr-digest", "sha-256=:x:")], false),
            (&[script, public, ("vary", "Origin, Cookie")], false),
            (&[script, public, ("vary", "authorization")], false),
            (&[script, public, ("vary", "*")], false),
            (&[script, public, ("vary", "Origin")], true),
            (&[script, public, ("etag", "\"x\"")], true),
            (&[public], false),
        ] {
            assert_eq!(is_eligible(&headers(lines), Some(4096)), expected, "{lines:?}");
        }
        for (kind, expected) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/CSS", true),
            ("text/event-stream", false),
            ("text/event-stream;charset=utf-8", false),
            ("application/json", true),
            ("application/manifest+json", true),
            ("image/svg+xml", true),
            ("image/png", false),
            ("application/octet-stream", false),
            ("font/woff2", false),
            ("application/zip", false),
            ("javascript", false),
        ] {
            let lines = [("content-type", kind), public];
            assert_eq!(is_eligible(&headers(&lines), None), expected, "{kind}");
        }
        for (length, expected) in [(None, true), (Some(1024), true), (Some(1023), false)] {
            assert_eq!(is_eligible(&headers(&[script, public]), length), expected, "{length:?}");
        }
        let mut unreadable = headers(&[script, public]);
        unreadable.append("cache-control", HeaderValue::from_bytes(b"x=\xff").unwrap());
        assert!(!is_eligible(&unreadable, None));
    }

    #[test]
    fn what_is_used_for_long_is_kept() {
        for (said, kept) in [
            ("public, max-age=31536000, immutable", true),
            ("immutable", true),
            ("public, Max-Age=86400", true),
            ("public, max-age=\"86400\"", true),
            ("public, max-age=86399", false),
            ("public, s-maxage=86400", false),
            ("public, max-age=x", false),
            ("public", false),
        ] {
            assert_eq!(is_kept_long(&headers(&[("cache-control", said)])), kept, "{said}");
        }
    }

    #[test]
    fn the_headers_describe_another_representation() {
        for (lines, vary) in [
            (&[][..], &["accept-encoding"][..]),
            (&[("vary", "Origin")], &["Origin", "accept-encoding"]),
            (&[("vary", "Origin, Accept-Encoding")], &["Origin, Accept-Encoding"]),
            (&[("vary", "*")], &["*"]),
        ] {
            let mut headers = headers(lines);
            add_vary(&mut headers);
            let lines: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(lines, vary);
        }
        for (tag, weak) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
            let mut headers = headers(&[
                ("etag", tag),
                ("content-length", "9"),
                ("accept-ranges", "bytes"),
                ("last-modified", "x"),
            ]);
            announce(&mut headers, Coding::Brotli);
            assert_eq!(headers.get(ETAG).unwrap(), weak);
            assert_eq!(headers.get(CONTENT_ENCODING).unwrap(), "br");
            let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
            assert_eq!(names.len(), 3, "{names:?}");
        }
    }
}
