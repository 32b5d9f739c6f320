//! Limits that an app sets for every request. They are checked before the login.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST};

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// The origin of `public_url`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOrigin<'a> {
    /// The origin as browsers send it in the `Origin` header.
    pub text: &'a str,
    /// The scheme is https.
    pub secure: bool,
}

/// Checks the length of the body and the origin of a WebSocket handshake.
pub(crate) fn check(
    app: &RoutedApp,
    headers: &HeaderMap,
    websocket: bool,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    check_length(app, headers)?;
    if websocket { check_origin(app, headers, public) } else { Ok(()) }
}

fn check_length(app: &RoutedApp, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(limit) = app.route.max_body else { return Ok(()) };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

fn check_origin(
    app: &RoutedApp,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    let own = match (&app.route.host, headers.get(HOST)) {
        (Some(_), Some(host)) => {
            let scheme = if public.secure { "https" } else { "http" };
            format!("{scheme}://{}", host.to_str().unwrap_or_default()).into()
        }
        _ => Cow::Borrowed(public.text),
    };
    let public = [public.text.to_owned()];
    let allowed = match app.route.origins.as_slice() {
        [] => &public,
        named => named,
    };
    if browser::is_foreign_origin(headers, &own, allowed) {
        Err(Refusal::CrossSite)
    } else {
        Ok(())
    }
}
