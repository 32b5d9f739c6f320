//! The header with which an app gets access tokens for as long as a request lasts: a WebSocket or an event
//! stream outlives the access token that came with it.

use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::auth::{Auth, Session};
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// No client sends it: see [`super::spoofed_headers`].
pub(super) const TOKEN_HANDLE: HeaderName = HeaderName::from_static("x-appliance-token-handle");

/// The handle for a request that may last; `None` for other requests, other apps and programs that have
/// sent a token of their own.
pub(crate) fn of(
    auth: Option<&Auth>,
    app: &RoutedApp,
    session: Option<&Session>,
    head: &Parts,
    websocket: bool,
) -> Option<HeaderValue> {
    if !app.asks_for_tokens || !(websocket || browser::accepts_events(&head.headers)) {
        return None;
    }
    auth?.token_handle(session?, &app.name)
}
