//! Forwards a WebSocket handshake to the app and checks the app's response.

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::websocket;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::routed_app::RoutedApp;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADES: HeaderValue = HeaderValue::from_static("Upgrade");

/// Sets `Upgrade` and `Connection` again, which were removed with the hop-by-hop headers.
pub(crate) fn set_upgrade(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(CONNECTION, UPGRADES);
}

/// The kind of an app's response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeResult {
    /// The app has accepted the handshake: a tunnel follows.
    Accepted,
    /// Any response other than a 101.
    Ordinary,
}

/// Checks the head of an app's response. `accept` is the expected `Sec-WebSocket-Accept`, or `None` if
/// the request was not a handshake.
///
/// # Errors
///
/// A 101 without a handshake, or a 101 that does not belong to this handshake.
pub(crate) fn check_response(
    status: StatusCode,
    headers: &HeaderMap,
    accept: Option<&str>,
    app: &RoutedApp,
) -> Result<HandshakeResult, Refusal> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(HandshakeResult::Ordinary);
    }
    match accept {
        Some(accept) if websocket::is_accepted(headers, accept) => Ok(HandshakeResult::Accepted),
        Some(_) => {
            Err(Refusal::upstream(&app.title, "the WebSocket handshake of the app is not valid"))
        }
        None => Err(Refusal::upstream(&app.title, "the app sent a 101 without a handshake")),
    }
}

/// Completes the head of the 101 for the client.
pub(crate) fn confirm(headers: &mut HeaderMap, accept: &str) {
    set_upgrade(headers);
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
}
