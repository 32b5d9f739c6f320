//! Recognises a WebSocket handshake and its response (RFC 6455 section 4).
//!
//! The check is strict: routing and policy do not see the bytes of a tunnel, so a tunnel needs a
//! complete handshake of both sides.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Version};
use sha1::{Digest, Sha1};

use crate::proxy::answer::refusal::Refusal;

/// The constant of `Sec-WebSocket-Accept` (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request is a WebSocket handshake. A request without the complete `Upgrade` is an ordinary
/// request; its `Upgrade` is removed with the hop-by-hop headers.
///
/// # Errors
///
/// The request is a handshake, but its body, version or key is not valid.
pub(crate) fn is_handshake(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    has_body: bool,
) -> Result<bool, Refusal> {
    if !asks_for_websocket(headers) || *method != Method::GET || version != Version::HTTP_11 {
        return Ok(false);
    }
    if has_body {
        return Err(Refusal::Malformed("a WebSocket handshake must not have a body"));
    }
    if single(headers, SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::WebSocketVersion);
    }
    let key = single(headers, SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key).ok());
    if key.is_none_or(|key| key.len() != 16) {
        return Err(Refusal::Malformed("the key of the WebSocket handshake is not valid"));
    }
    Ok(true)
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    single(headers, UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && has_token(headers, b"upgrade")
}

/// The `Sec-WebSocket-Accept` of a valid 101 (RFC 6455 section 4.2.2).
pub(crate) fn accept_for(headers: &HeaderMap) -> String {
    let key = single(headers, SEC_WEBSOCKET_KEY).unwrap_or_default();
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a 101 belongs to the handshake with this `accept`.
pub(super) fn is_accepted(headers: &HeaderMap, accept: &str) -> bool {
    asks_for_websocket(headers) && single(headers, SEC_WEBSOCKET_ACCEPT) == Some(accept.as_bytes())
}

/// The value of a header that occurs exactly once.
fn single(headers: &HeaderMap, name: http::HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

fn has_token(headers: &HeaderMap, token: &[u8]) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: [(HeaderName, &str); 4] = [
        (CONNECTION, "keep-alive, Upgrade"),
        (UPGRADE, "WebSocket"),
        (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        (SEC_WEBSOCKET_VERSION, "13"),
    ];

    fn map(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn with(name: &HeaderName, value: Option<&'static str>) -> HeaderMap {
        let mut headers = map(&GOOD);
        match value {
            Some(value) => headers.insert(name, HeaderValue::from_static(value)),
            None => headers.remove(name),
        };
        headers
    }

    fn judge(headers: &HeaderMap) -> Option<bool> {
        is_handshake(&Method::GET, Version::HTTP_11, headers, false).ok()
    }

    #[test]
    fn only_complete_handshakes_are_recognised() {
        assert_eq!(judge(&map(&GOOD)), Some(true));
        for (name, value, wanted) in [
            (CONNECTION, None, Some(false)),
            (CONNECTION, Some("keep-alive"), Some(false)),
            (CONNECTION, Some("xupgrade"), Some(false)),
            (UPGRADE, None, Some(false)),
            (UPGRADE, Some("h2c"), Some(false)),
            (UPGRADE, Some("websocket, h2c"), Some(false)),
            (SEC_WEBSOCKET_VERSION, Some("8"), None),
            (SEC_WEBSOCKET_VERSION, None, None),
            (SEC_WEBSOCKET_KEY, Some("c2hvcnQ="), None),
            (SEC_WEBSOCKET_KEY, Some("?"), None),
            (SEC_WEBSOCKET_KEY, None, None),
        ] {
            assert_eq!(judge(&with(&name, value)), wanted, "{name} {value:?}");
        }
        let good = map(&GOOD);
        assert!(!is_handshake(&Method::POST, Version::HTTP_11, &good, false).unwrap());
        assert!(!is_handshake(&Method::GET, Version::HTTP_10, &good, false).unwrap());
        assert!(is_handshake(&Method::GET, Version::HTTP_11, &good, true).is_err());
    }

    #[test]
    fn only_the_response_to_this_handshake_is_accepted() {
        let accept = accept_for(&map(&GOOD));
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let answer = [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
        ];
        assert!(is_accepted(&map(&answer), &accept));
        assert!(!is_accepted(&map(&answer), "other"));
        assert!(!is_accepted(&map(&answer[..2]), &accept));
        assert!(!is_accepted(&map(&answer[1..]), &accept));
    }
}
