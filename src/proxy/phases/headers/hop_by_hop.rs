//! Hop-by-hop headers: they belong to one connection and are not forwarded (RFC 9110 section 7.6.1).

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, HOST, HeaderMap, LOCATION, PROXY_AUTHENTICATE, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue};

/// Names that are removed from every request. [`super::spoofed_headers`] removes them together with
/// its own names.
pub(super) const REQUEST_NAMES: [&str; 6] = [
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "upgrade",
];

/// Names that a trailer section must not have.
const TRAILER_EXCLUDED: [HeaderName; 19] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    KEEP_ALIVE,
    LOCATION,
    PROXY_AUTHENTICATE,
    PROXY_CONNECTION,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
];

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes `Connection`, the headers that `Connection` names, and a `TE` other than `trailers`.
/// [`REQUEST_NAMES`] are removed later. `admit` has checked the framing headers, which are written anew.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    strip_named(headers);
    if headers.get(TRANSFER_ENCODING).is_some_and(|coding| coding != "chunked") {
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    write_length(headers);
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

/// Writes the length in one spelling. hyper reads `0010`, as it reads `CHUNKED`, and passes both on as they
/// are; the peer may read them differently.
fn write_length(headers: &mut HeaderMap) {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return };
    let is_plain = length.len() == 1 || !length.as_bytes().starts_with(b"0");
    if is_plain && lengths.next().is_none() {
        return;
    }
    let length = length.to_str().ok().and_then(|length| length.parse::<u64>().ok());
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
}

/// Removes the hop-by-hop headers of a response and leaves exactly one framing header.
///
/// # Errors
///
/// The framing of the response is not valid; the text is the reason for the log.
pub(crate) fn strip_response(headers: &mut HeaderMap) -> Result<(), &'static str> {
    // hyper reads `5, 5` as 5 and forwards the header unchanged, but clients may read it differently.
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if lengths.any(|length| !length.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("the Content-Length of the response is not a number");
    }
    strip_named(headers);
    write_length(headers);
    // Looking through the names once is cheaper than five look-ups of headers that are rarely there.
    if !headers.keys().any(is_hop_by_hop) {
        return Ok(());
    }
    for name in [UPGRADE, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE] {
        headers.remove(name);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
        return Err("the transfer coding of the response is not supported");
    }
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(())
}

/// Removes the fields of a response's trailer section that belong to one connection or change what the head
/// has said (RFC 9110 section 6.5.1). On HTTP/1, hyper does the same.
pub(crate) fn strip_trailers(fields: &mut HeaderMap) {
    for name in TRAILER_EXCLUDED {
        fields.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE].contains(name)
}

/// Removes `Connection` and the headers that it names, except end-to-end headers.
fn strip_named(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter(|value| !is_plain(value))
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    headers.remove(CONNECTION);
    for name in named {
        headers.remove(name);
    }
}

/// Whether the value names no header.
fn is_plain(value: &HeaderValue) -> bool {
    value == "keep-alive" || value == "close" || value == "Keep-Alive" || value == "Upgrade"
}

/// Headers that `Connection` cannot remove. A client that names one of them tries to attack the app.
fn is_end_to_end(name: &HeaderName) -> bool {
    *name == HOST
        || *name == COOKIE
        || *name == TRANSFER_ENCODING
        || *name == TE
        || matches!(name.as_str(), "authorization" | "set-cookie" | "location" | "date")
        || name.as_str().starts_with("content-")
        || name.as_str().starts_with("sec-")
        || name.as_str().starts_with("access-control-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn trailers_keep_what_they_may_have() {
        let mut fields = map(&[
            ("grpc-status", "0"),
            ("set-cookie", "a=1"),
            ("connection", "close"),
            ("content-length", "9"),
            ("server-timing", "x"),
        ]);
        strip_trailers(&mut fields);
        assert_eq!(names(&fields), ["grpc-status", "server-timing"]);
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_request_loses_the_headers_that_connection_names() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Tok, Cookie"),
            ("connection", "authorization, Content-Length,host"),
            ("x-tok", "1"),
            ("cookie", "a=1"),
            ("authorization", "Basic x"),
            ("content-length", "2"),
            ("host", "a"),
            ("te", "gzip"),
            ("x-stay", "1"),
        ]);
        strip_request(&mut headers);
        assert_eq!(
            names(&headers),
            ["authorization", "content-length", "cookie", "host", "x-stay"]
        );
    }

    #[test]
    fn the_framing_has_one_spelling() {
        for (name, values, wanted) in [
            ("transfer-encoding", &["CHUNKED"][..], "chunked"),
            ("transfer-encoding", &["chunked"], "chunked"),
            ("content-length", &["0000000010"], "10"),
            ("content-length", &["00"], "0"),
            ("content-length", &["0"], "0"),
            ("content-length", &["7", "7"], "7"),
            ("content-length", &["18446744073709551615"], "18446744073709551615"),
        ] {
            let lines: Vec<_> = values.iter().map(|value| (name, *value)).collect();
            let mut headers = map(&lines);
            strip_request(&mut headers);
            let found: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(found, [wanted], "{name} {values:?}");
        }
        let mut counted = map(&[("content-length", "003"), ("content-length", "3")]);
        assert_eq!(strip_response(&mut counted), Ok(()));
        assert_eq!(counted, map(&[("content-length", "3")]));
    }

    #[test]
    fn a_response_keeps_exactly_one_framing_header() {
        let mut headers = map(&[
            ("connection", "X-Secret"),
            ("x-secret", "s"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("upgrade", "h2c"),
        ]);
        assert_eq!(strip_response(&mut headers), Ok(()));
        assert!(headers.is_empty(), "{headers:?}");
        assert!(strip_response(&mut map(&[("transfer-encoding", "gzip, chunked")])).is_err());
        assert!(strip_response(&mut map(&[("content-length", "5, 5")])).is_err());
        let mut counted = map(&[("content-length", "3")]);
        assert_eq!(strip_response(&mut counted), Ok(()));
        assert_eq!(names(&counted), ["content-length"]);
    }
}
