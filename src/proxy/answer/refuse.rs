//! Turns a refusal into a response: a page for people, a JSON string for programs.

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
};
use http::{HeaderValue, Response, StatusCode};

use super::clear_cookies;
use super::compose::{ResponseFormat, empty, json, json_string, notice, redirect};
use super::pages::{Buttons, Frame, Notice, Pages};
use super::refusal::Refusal;
use crate::texts::{Message, Text};

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The response to a refused request.
pub(crate) fn refuse(refusal: &Refusal, format: ResponseFormat<'_>) -> Response<Bytes> {
    let mut response = body(refusal, format);
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    match refusal {
        Refusal::WebSocketVersion => {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        Refusal::MethodNotAllowed | Refusal::OptionsAsterisk => {
            headers.insert(ALLOW, METHODS);
        }
        Refusal::FilesAreRead => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {}
    }
    if refusal.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn body(refusal: &Refusal, format: ResponseFormat<'_>) -> Response<Bytes> {
    let status = refusal.status();
    let message = refusal.message(format.pages.home());
    match refusal {
        Refusal::OptionsAsterisk => return empty(status),
        Refusal::SignIn { login: Some(login) } => return redirect(login),
        // Only a navigation is redirected to the login. A program cannot follow the redirect,
        // whatever its `Accept` says, and the redirect would lose the body of a form.
        Refusal::SignIn { login: None } => return json(status, json_string(&message.to_string())),
        _ => {}
    }
    // Only a program reads the string; a page has the reason beside the number of the request.
    let reason = (status == StatusCode::FORBIDDEN).then(|| refusal.code());
    let message = match reason.filter(|_| !format.page) {
        Some(reason) => Message::plain(format!("{message} Reason: {reason}.")),
        None => message,
    };
    let frame = Frame {
        reload: refusal.retry_after(),
        refused: true,
        reason,
        ..format.frame(refusal.title())
    };
    let delete = || (Text::DeleteCookies.into(), clear_cookies::ACTION);
    let form = refusal.is_about_cookies().then(delete);
    let new_tab = match refusal {
        Refusal::Framed { address, .. } => Some((Text::OpenNewTab.into(), address.as_str())),
        _ => None,
    };
    let is_framed = new_tab.is_some();
    let (action, link) = (action(refusal, format.pages), way_back(refusal));
    let embedded = match refusal {
        Refusal::Framed { embedded, .. } => embedded.as_ref().map(|(app, _)| app.as_str()),
        _ => None,
    };
    let window = embedded.map(|app| format!("/oauth2/embed?app={app}"));
    let window = embedded.zip(window.as_deref());
    let window = window.map(|(app, path)| (Text::SignIn.into(), path, app));
    // In a frame of an app, the other pages of the appliance do not open.
    let buttons = if format.embedded {
        Buttons { window, new_tab: new_tab.or(action), ..Buttons::default() }
    } else {
        Buttons { form, action, window: None, new_tab, link }
    };
    let in_progress = refusal.is_in_progress();
    let page = Notice { frame, message, buttons, in_progress };
    let mut response = notice(status, &page, format);
    if is_framed && format.page {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, format.pages.framed_policy());
    }
    response
}

/// A link to the apps that do work.
fn way_back(refusal: &Refusal) -> Option<(Message, &'static str)> {
    let is_of_one_app = matches!(
        refusal,
        Refusal::Denied { .. }
            | Refusal::NotReady { .. }
            | Refusal::Upstream { .. }
            | Refusal::UpstreamTimeout { .. }
            | Refusal::InterimResponses { .. }
    );
    is_of_one_app.then(your_apps)
}

/// The text and the address of the button on the page.
fn action<'a>(refusal: &Refusal, pages: &'a Pages) -> Option<(Message, &'a str)> {
    match refusal {
        Refusal::UnknownHost { .. } => Some((Message::plain(pages.home()), pages.home())),
        Refusal::Denied { .. } => Some((Text::SignInOtherwise.into(), "/oauth2/sign_out")),
        Refusal::NotFound | Refusal::NoFile | Refusal::CrossSite | Refusal::Shielded => {
            Some(your_apps())
        }
        _ => None,
    }
}

fn your_apps() -> (Message, &'static str) {
    (Text::YourApps.into(), "/_appliance/")
}
