//! A refusal as its reader wants it: a page for people, a JSON string for programs.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Response};

use super::compose::{Manner, bare, json, json_string, notice, redirect};
use super::pages::{Frame, Notice, Pages};
use super::refusal::Refusal;

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The response that tells a refusal.
pub(crate) fn refuse(refusal: &Refusal, manner: Manner<'_>) -> Response<Bytes> {
    let mut response = body(refusal, manner);
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    match refusal {
        Refusal::WebSocketVersion => {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        Refusal::Method | Refusal::Asterisk => {
            headers.insert(ALLOW, METHODS);
        }
        _ => {}
    }
    if refusal.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn body(refusal: &Refusal, manner: Manner<'_>) -> Response<Bytes> {
    let status = refusal.status();
    match refusal {
        Refusal::Asterisk => return bare(status),
        Refusal::SignIn { login: Some(login) } => return redirect(login),
        // Only a navigation is sent to the login. A program cannot follow it, whatever its `Accept`
        // says, and the body of a form would be lost behind it.
        Refusal::SignIn { login: None } => return json(status, json_string(&refusal.message())),
        _ => {}
    }
    let home = manner.pages.home();
    let message = match refusal {
        Refusal::UnknownHost => format!("{} The right address is {home}", refusal.message()).into(),
        _ => refusal.message(),
    };
    let title = refusal.title();
    let frame = Frame {
        reload: refusal.retry_after(),
        refused: true,
        ..manner.pages.frame(&title, manner.id)
    };
    let action = action(refusal, manner.pages);
    notice(status, &Notice { frame, message: &message, action }, manner)
}

/// Text and address of the button on the page.
fn action<'a>(refusal: &Refusal, pages: &'a Pages) -> Option<(&'a str, &'a str)> {
    match refusal {
        Refusal::UnknownHost => Some((pages.home(), pages.home())),
        Refusal::Denied { .. } => Some(("Sign in as somebody else", "/oauth2/sign_out")),
        Refusal::NotFound | Refusal::CrossSite | Refusal::Shielded => {
            Some(("Start page", "/_appliance/"))
        }
        _ => None,
    }
}
