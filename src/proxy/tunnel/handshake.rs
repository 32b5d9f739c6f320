//! From a WebSocket handshake to a tunnel: both sides must mean it.

use std::time::Duration;

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::websocket;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::target::Target;

/// Longest time an app may take for its side of the handshake.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADES: HeaderValue = HeaderValue::from_static("Upgrade");

/// Puts back what the handshake needs after hop-by-hop headers are gone.
pub(crate) fn ask(headers: &mut HeaderMap) {
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(CONNECTION, UPGRADES);
}

/// What an app's answer to a handshake is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A tunnel.
    Accepted,
    /// An answer like any other.
    Plain,
}

/// Judges it; a 101 that does not fit is a failure of the app. `accept` is `None` when no
/// handshake was made.
pub(crate) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    accept: Option<&str>,
    target: &Target,
) -> Result<Outcome, Refusal> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Outcome::Plain);
    }
    match accept {
        Some(accept) if websocket::is_accepted(headers, accept) => Ok(Outcome::Accepted),
        Some(_) => {
            Err(Refusal::upstream(&target.title, "the WebSocket handshake of the app is not valid"))
        }
        None => Err(Refusal::upstream(&target.title, "the app sent a 101 without a handshake")),
    }
}

/// The head of the 101 for the client.
pub(crate) fn confirm(headers: &mut HeaderMap, accept: &str) {
    ask(headers);
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
}
