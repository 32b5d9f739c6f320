//! Limits that an app sets for every request, before anybody is asked to sign in.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST};

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::route::target::Target;

/// The origin that browsers use for the appliance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOrigin<'a> {
    /// As browsers send it in `Origin`.
    pub text: &'a str,
    /// Its scheme is https.
    pub secure: bool,
}

/// Checks the length of the body and the origin of a WebSocket handshake.
pub(crate) fn check(
    target: &Target,
    headers: &HeaderMap,
    websocket: bool,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    check_length(target, headers)?;
    if websocket { check_origin(target, headers, public) } else { Ok(()) }
}

fn check_length(target: &Target, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(limit) = target.route.max_body else { return Ok(()) };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

fn check_origin(
    target: &Target,
    headers: &HeaderMap,
    public: PublicOrigin<'_>,
) -> Result<(), Refusal> {
    let own = match (&target.route.host, headers.get(HOST)) {
        (Some(_), Some(host)) => {
            let scheme = if public.secure { "https" } else { "http" };
            format!("{scheme}://{}", host.to_str().unwrap_or_default()).into()
        }
        _ => Cow::Borrowed(public.text),
    };
    let public = [public.text.to_owned()];
    let allowed = match target.route.origins.as_slice() {
        [] => &public,
        named => named,
    };
    if browser::foreign_origin(headers, &own, allowed) { Err(Refusal::CrossSite) } else { Ok(()) }
}
