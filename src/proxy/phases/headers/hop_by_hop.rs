//! Headers that are between two neighbours only (RFC 9110 section 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, PROXY_AUTHENTICATE, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderName, HeaderValue};

/// Names that end here with every request; [`super::spoofed_headers`] removes them with the others.
pub(super) const ENDS_HERE: [&str; 6] = [
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "upgrade",
];

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Strips a request of all but [`ENDS_HERE`]. Framing stays: it has been judged, and hyper writes
/// it anew.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    strip_named(headers);
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

/// Strips an answer and leaves one framing. `Err`: no proper answer.
pub(crate) fn strip_answer(headers: &mut HeaderMap) -> Result<(), &'static str> {
    // hyper reads `5, 5` as 5 and hands it on as it is; not every client reads it so.
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if lengths.any(|length| !length.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("the Content-Length of the response is not a number");
    }
    strip_named(headers);
    // A look at what is there is cheaper than asking for what nearly never is.
    if !headers.keys().any(is_between_neighbours) {
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

fn is_between_neighbours(name: &HeaderName) -> bool {
    [TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE].contains(name)
}

/// Removes `Connection` and what it names, except what a neighbour has no say in.
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

fn is_plain(value: &HeaderValue) -> bool {
    value == "keep-alive" || value == "close" || value == "Keep-Alive" || value == "Upgrade"
}

/// Naming these in `Connection` is an attack, not a wish.
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

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn requests() {
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
    fn answers_have_one_framing() {
        let mut headers = map(&[
            ("connection", "X-Secret"),
            ("x-secret", "s"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("upgrade", "h2c"),
        ]);
        assert_eq!(strip_answer(&mut headers), Ok(()));
        assert!(headers.is_empty(), "{headers:?}");
        assert!(strip_answer(&mut map(&[("transfer-encoding", "gzip, chunked")])).is_err());
        assert!(strip_answer(&mut map(&[("content-length", "5, 5")])).is_err());
        let mut counted = map(&[("content-length", "3")]);
        assert_eq!(strip_answer(&mut counted), Ok(()));
        assert_eq!(names(&counted), ["content-length"]);
    }
}
