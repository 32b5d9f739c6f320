//! Whether a request is one: grammar, limits, one canonical path.
//!
//! Refuses, never repairs. What passes has exactly one reading, and the canonical path is what
//! routing, policy, the log and the app all see. hyper has already refused what is no HTTP.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::header::{EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};

use super::refusal::Refusal;

/// Longest request line, bytes.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// A valid `Host`: a name or an address, perhaps a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host<'a> {
    /// As sent, without port; an IPv6 address keeps its brackets.
    pub name: &'a str,
    /// When there is one.
    pub port: Option<u16>,
}

impl Host<'_> {
    /// A name under which only this machine is meant.
    pub(super) fn is_loopback(&self) -> bool {
        self.name.eq_ignore_ascii_case("localhost")
            || self.name == "127.0.0.1"
            || self.name == "[::1]"
    }
}

/// Judges a request head. Returns its host and its canonical path with the query.
pub(super) fn admit(
    head: &Parts,
    max_header_bytes: usize,
) -> Result<(Host<'_>, PathAndQuery), Refusal> {
    let Parts { method, uri, headers, .. } = head;
    check_size(method, uri, headers, max_header_bytes)?;
    check_method(method)?;
    check_framing(headers, head.version)?;
    let host = host(headers)?;
    if let Some(authority) = uri.authority() {
        check_absolute(uri, authority.as_str(), host)?;
    }
    Ok((host, target(method, uri)?))
}

fn check_size(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    max_header_bytes: usize,
) -> Result<(), Refusal> {
    // "GET " before and " HTTP/1.1" after the target.
    let line = uri.path_and_query().map_or(0, |target| target.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len())
        + method.as_str().len()
        + 10;
    if line > MAX_LINE {
        return Err(Refusal::TargetTooLong);
    }
    // ": " and the line's end.
    let lines: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if lines > max_header_bytes { Err(Refusal::HeadersTooLarge) } else { Ok(()) }
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => Ok(()),
        Method::TRACE | Method::CONNECT => Err(Refusal::Method),
        // Lower case would be one method here and another one in an app that folds it.
        _ if method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_') => {
            Ok(())
        }
        _ => Err(Refusal::Malformed("the method is not in upper case")),
    }
}

fn check_framing(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some() {
            return Err(Refusal::Coding);
        }
        if version < Version::HTTP_11 {
            return Err(Refusal::Malformed("chunks in HTTP/1.0"));
        }
    }
    for expectation in headers.get_all(EXPECT) {
        if !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::Expectation);
        }
    }
    Ok(())
}

/// The one valid `Host` of a request (RFC 9112 section 3.2).
fn host(headers: &HeaderMap) -> Result<Host<'_>, Refusal> {
    let mut lines = headers.get_all(HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(Refusal::Malformed("there must be exactly one Host"));
    };
    line.to_str()
        .ok()
        .and_then(parse_host)
        .ok_or(Refusal::Malformed("the Host is no host name with an optional port"))
}

/// `name`, `name:port`, `[v6]`, `[v6]:port`.
pub(super) fn parse_host(text: &str) -> Option<Host<'_>> {
    let (name, rest) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        text[1..end - 1].parse::<Ipv6Addr>().ok()?;
        text.split_at(end)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let good = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !good {
            return None;
        }
        (name, rest)
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        _ => return None,
    };
    Some(Host { name, port })
}

/// Absolute form is accepted when it says what `Host` says (RFC 9112 section 3.2.2 would let it
/// win over a different one).
fn check_absolute(uri: &Uri, authority: &str, host: Host<'_>) -> Result<(), Refusal> {
    let same = parse_host(authority)
        .is_some_and(|named| named.port == host.port && named.name.eq_ignore_ascii_case(host.name));
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    if same && http {
        Ok(())
    } else {
        Err(Refusal::Malformed("the request target does not agree with Host"))
    }
}

fn target(method: &Method, uri: &Uri) -> Result<PathAndQuery, Refusal> {
    let Some(target) = uri.path_and_query() else {
        return Err(Refusal::Malformed("the request target is no path"));
    };
    if target.as_str() == "*" {
        return if *method == Method::OPTIONS {
            Err(Refusal::Asterisk)
        } else {
            Err(Refusal::Malformed("the request target is no path"))
        };
    }
    match canonical(target.path())? {
        Cow::Borrowed(_) => Ok(target.clone()),
        Cow::Owned(mut path) => {
            if let Some(query) = target.query() {
                path.push('?');
                path.push_str(query);
            }
            PathAndQuery::try_from(path)
                .map_err(|_| Refusal::Malformed("the request target is no path"))
        }
    }
}

/// The path with its needless escapes undone and the others in upper case (RFC 3986 section
/// 6.2.2); borrowed when it is canonical already.
pub(super) fn canonical(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let path = if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Refusal::Malformed("the request target is no path"));
    };
    if rest.bytes().any(|b| b <= b' ' || b >= 0x7f || matches!(b, b'\\' | b';' | b'#')) {
        return Err(Refusal::Malformed("a character in the path is not allowed"));
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(Refusal::Malformed("dot segments in the path")),
            "" if segments.peek().is_some() => {
                return Err(Refusal::Malformed("an empty segment in the path"));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn unescape(path: &str) -> Result<String, Refusal> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut bytes = path.bytes();
    let mut text = String::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            // Raw bytes beyond ASCII are refused in any case, so a stand-in is enough.
            text.push(if byte.is_ascii() { char::from(byte) } else { '\u{80}' });
            continue;
        }
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return Err(Refusal::Malformed("a broken percent escape in the path"));
        };
        match high << 4 | low {
            b'/' | b'\\' | b';' | 0x00..=0x1f | 0x7f => {
                return Err(Refusal::Malformed("an escape in the path is not allowed"));
            }
            plain @ (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                text.push(char::from(plain));
            }
            kept => text.extend([
                '%',
                char::from(HEX[usize::from(kept >> 4)]),
                char::from(HEX[usize::from(kept & 15)]),
            ]),
        }
    }
    Ok(text)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn path(path: &str) -> Option<String> {
        canonical(path).ok().map(Cow::into_owned)
    }

    #[test]
    fn one_path_has_one_spelling() {
        for (from, to) in [
            ("/", "/"),
            ("/app1/", "/app1/"),
            ("/%61pp1", "/app1"),
            ("/a%7eb%2D", "/a~b-"),
            ("/a%20b", "/a%20b"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/x...", "/x..."),
            ("/a[1]^|'", "/a[1]^|'"),
        ] {
            assert_eq!(path(from).as_deref(), Some(to), "{from}");
        }
        assert!(matches!(canonical("/plain/path"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for bad in [
            "",
            "x",
            "/a/../b",
            "/..",
            "/.",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2E",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%00",
            "/%0a",
            "/a;b",
            "/a%3bb",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/%zz",
            "/%",
            "/%4",
            "/%u002e",
            "/é",
            "/a\u{7f}",
            "/a b",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for (text, name, port) in [
            ("localhost", "localhost", None),
            ("LocalHost:8080", "LocalHost", Some(8080)),
            ("[::1]:80", "[::1]", Some(80)),
            ("a_b.example", "a_b.example", None),
        ] {
            assert_eq!(parse_host(text), Some(Host { name, port }), "{text}");
        }
        let long = "a".repeat(300);
        for bad in [
            "",
            "a b",
            "a/x",
            "u@a",
            "a,b",
            "a:99999",
            "a:x",
            "[::1",
            "a:80:80",
            "http://a",
            "a?x",
            "a:",
            "a:-1",
            "[zz]",
            "a:+1",
            "<b>",
            long.as_str(),
        ] {
            assert_eq!(parse_host(bad), None, "{bad}");
        }
    }

    fn judge(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<String, u16> {
        let mut request = http::Request::new(());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        admit(&request.into_parts().0, 1024)
            .map(|(_, target)| target.to_string())
            .map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn heads() {
        let host = ("host", "a.test");
        let long = "x".repeat(2000);
        for (method, target, lines, wanted) in [
            ("GET", "/x?y=%2F", vec![host], Ok("/x?y=%2F")),
            ("GET", "http://a.test/x", vec![host], Ok("/x")),
            ("GET", "http://A.test", vec![host], Ok("/")),
            ("PROPFIND", "/x", vec![host], Ok("/x")),
            ("POST", "/x", vec![host, ("transfer-encoding", "Chunked")], Ok("/x")),
            ("GET", "http://b.test/x", vec![host], Err(400)),
            ("GET", "/x", vec![], Err(400)),
            ("GET", "/x", vec![host, host], Err(400)),
            ("get", "/x", vec![host], Err(400)),
            ("TRACE", "/x", vec![host], Err(405)),
            ("CONNECT", "a.test:80", vec![host], Err(405)),
            ("GET", "a.test:80", vec![host], Err(400)),
            ("GET", "*", vec![host], Err(400)),
            ("OPTIONS", "*", vec![host], Err(204)),
            ("POST", "/x", vec![host, ("transfer-encoding", "gzip, chunked")], Err(501)),
            (
                "POST",
                "/x",
                vec![host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                Err(501),
            ),
            ("POST", "/x", vec![host, ("expect", "foo")], Err(417)),
            ("POST", "/x", vec![host, ("expect", "100-Continue")], Ok("/x")),
            ("GET", "/x", vec![host, ("cookie", long.as_str())], Err(431)),
        ] {
            let wanted = wanted.map(str::to_owned);
            assert_eq!(judge(method, target, &lines), wanted, "{method} {target} {lines:?}");
        }
        let target = format!("/{}", "x".repeat(MAX_LINE));
        assert_eq!(judge("GET", &target, &[host]), Err(414));
    }
}
