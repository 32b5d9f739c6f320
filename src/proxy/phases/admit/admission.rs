//! Checks the head of a request: grammar, limits, host and path.
//!
//! An invalid request is refused, never repaired. hyper has already refused bytes that are not HTTP.

use http::header::{EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Uri, Version};

use super::host::{Host, parse_host};
use super::oversized::{self, MAX_FIELDS};
use super::path::AdmittedPath;
use crate::proxy::answer::refusal::Refusal;

/// The longest request line, bytes.
pub(crate) const MAX_REQUEST_LINE: usize = 16 * 1024;

/// The bytes of a request line beside method and target: the space and ` HTTP/1.1`.
const AROUND_LINE: usize = 10;
/// The bytes of the pseudo-header fields of HTTP/2, which stand for a request line, as HTTP/2 counts them:
/// four names, the scheme, and 32 for each field (RFC 9113 section 6.5.2).
const AROUND_FIELDS: usize = 29 + 5 + 4 * 32;

/// The reason to refuse a request without a host.
pub(crate) const NO_HOST: &str = "there must be exactly one Host";

/// Checks a request head. Returns its host and its path.
///
/// # Errors
///
/// The refusal that names the first problem.
pub(crate) fn admit(
    head: &Parts,
    max_header_bytes: usize,
) -> Result<(Host<'_>, AdmittedPath), Refusal> {
    let Parts { method, uri, headers, .. } = head;
    check_size(head, max_header_bytes)?;
    check_method(method)?;
    check_framing(headers, head.version)?;
    let host = host(headers, head.version)?;
    if let Some(authority) = uri.authority() {
        check_absolute(uri, authority.as_str(), host)?;
    }
    Ok((host, target(method, uri)?))
}

fn check_size(head: &Parts, max_header_bytes: usize) -> Result<(), Refusal> {
    let Parts { method, uri, headers, .. } = head;
    let around = if head.version == Version::HTTP_2 { AROUND_FIELDS } else { AROUND_LINE };
    let line = uri.path_and_query().map_or(0, |target| target.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len())
        + method.as_str().len()
        + around;
    if line > MAX_REQUEST_LINE {
        return Err(Refusal::TargetTooLong);
    }
    // On HTTP/1, hyper has counted the fields.
    if headers.len() > MAX_FIELDS || oversized::are_oversized(headers, max_header_bytes) {
        return Err(oversized::refusal(headers));
    }
    Ok(())
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => Ok(()),
        Method::TRACE | Method::CONNECT => Err(Refusal::MethodNotAllowed),
        // In lower case the method could match no rule here, and still be GET or POST in an app that
        // ignores case.
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
            return Err(Refusal::TransferCoding);
        }
        if version < Version::HTTP_11 {
            return Err(Refusal::Malformed("a chunked body in HTTP/1.0"));
        }
    }
    for expectation in headers.get_all(EXPECT) {
        if !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::Expectation);
        }
    }
    Ok(())
}

/// The `Host` of a request: there must be exactly one (RFC 9112 section 3.2). HTTP/1.0 has none; the
/// result is then empty, and only probes are answered.
fn host(headers: &HeaderMap, version: Version) -> Result<Host<'_>, Refusal> {
    let mut lines = headers.get_all(HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (Some(line), None) => line,
        (None, _) if version == Version::HTTP_10 => return Ok(Host::MISSING),
        _ => return Err(Refusal::Malformed(NO_HOST)),
    };
    line.to_str()
        .ok()
        .and_then(parse_host)
        .ok_or(Refusal::Malformed("the Host is not a host name with an optional port"))
}

/// Checks a request target in absolute form: it must agree with `Host`. By RFC 9112 section 3.2.2
/// such a target would override a different `Host`.
fn check_absolute(uri: &Uri, authority: &str, host: Host<'_>) -> Result<(), Refusal> {
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    if http && host.is(authority) {
        Ok(())
    } else {
        Err(Refusal::Malformed("the request target does not agree with Host"))
    }
}

fn target(method: &Method, uri: &Uri) -> Result<AdmittedPath, Refusal> {
    let Some(target) = uri.path_and_query() else {
        return Err(Refusal::Malformed("the request target is not a path"));
    };
    if target.as_str() == "*" && *method == Method::OPTIONS {
        return Err(Refusal::OptionsAsterisk);
    }
    AdmittedPath::new(target.clone())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn judge(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<String, u16> {
        judge_version(Version::HTTP_11, method, target, lines)
    }

    fn judge_version(
        version: Version,
        method: &str,
        target: &str,
        lines: &[(&'static str, &str)],
    ) -> Result<String, u16> {
        let mut request = http::Request::new(());
        *request.version_mut() = version;
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        admit(&request.into_parts().0, 1024)
            .map(|(_, path)| path.sent().to_string())
            .map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn only_valid_heads_are_admitted() {
        let host = ("host", "a.test");
        let long = "x".repeat(2000);
        for (method, target, lines, wanted) in [
            ("GET", "/x?y=%2F", vec![host], Ok("/x?y=%2F")),
            ("GET", "/%78%3a%3A?y", vec![host], Ok("/%78%3a%3A?y")),
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
        let fields = |count| [vec![host], vec![("x", "1"); count - 1]].concat();
        assert_eq!(judge("GET", "/x", &fields(MAX_FIELDS)), Ok("/x".to_owned()));
        assert_eq!(judge("GET", "/x", &fields(MAX_FIELDS + 1)), Err(431));
        let target = format!("/{}", "x".repeat(MAX_REQUEST_LINE));
        assert_eq!(judge("GET", &target, &[host]), Err(414));
        for (version, around) in [(Version::HTTP_11, AROUND_LINE), (Version::HTTP_2, AROUND_FIELDS)]
        {
            let target = format!("/{}", "x".repeat(MAX_REQUEST_LINE - around - 4));
            assert_eq!(judge_version(version, "GET", &target, &[host]), Ok(target.clone()));
            let longer = format!("{target}x");
            assert_eq!(judge_version(version, "GET", &longer, &[host]), Err(414));
        }
    }
}
