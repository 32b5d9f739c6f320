//! Limits that an app sets for every request. They are checked before the login.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// Checks the length of the body that the head announces.
pub(crate) fn check(app: &RoutedApp, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(limit) = app.route.max_body else { return Ok(()) };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}
