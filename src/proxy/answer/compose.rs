//! Responses that the appliance writes: pages, JSON documents, redirects.

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::pages::{Frame, Notice, Pages};
use crate::auth::{Action, Reply};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How a response is written for its reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// The look of pages.
    pub pages: &'a Pages,
    /// A person reads it: a page instead of JSON.
    pub page: bool,
    /// `X-Request-Id`.
    pub id: &'a HeaderValue,
}

/// The response of a login endpoint.
pub(crate) fn reply(reply: Reply, manner: Manner<'_>) -> Response<Bytes> {
    match reply {
        Reply::Redirect { location, cookies } => with_cookies(redirect(&location), cookies),
        Reply::Page { status, title, message, action, link, retry_after, cookies } => {
            let frame = Frame {
                reload: retry_after,
                refused: !status.is_success(),
                ..manner.pages.frame(&title, manner.id)
            };
            let (form, link_to) = match &action {
                Some(action) if action.post => (Some(button(action)), None),
                action => (None, action.as_ref().map(button)),
            };
            let more = link.as_ref().map(|(text, path)| (text.as_str(), path.as_str()));
            let page = Notice { frame, message: &message, form, action: link_to, more };
            let mut response = notice(status, &page, manner);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            with_cookies(response, cookies)
        }
        Reply::Json { status, body, cookies } => with_cookies(json(status, body), cookies),
        Reply::Empty { status, headers } => {
            let mut response = bare(status);
            response.headers_mut().extend(headers);
            response
        }
    }
}

/// Text and address of a button.
fn button(action: &Action) -> (&str, &str) {
    (&action.text, &action.path)
}

/// A notice as a page, or its message as a JSON string.
pub(super) fn notice(
    status: StatusCode,
    notice: &Notice<'_>,
    manner: Manner<'_>,
) -> Response<Bytes> {
    if manner.page {
        html(status, notice, manner.pages)
    } else {
        json(status, json_string(notice.message))
    }
}

/// A page.
pub(crate) fn html(status: StatusCode, page: &impl Template, pages: &Pages) -> Response<Bytes> {
    // Rendering into a string fails only if a value's `Display` does, which none here can.
    let text = page.render().unwrap_or_default();
    let mut response = own(status, HTML, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, pages.policy());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Bytes> {
    own(status, JSON, text)
}

/// A redirect of the browser, 302.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = bare(StatusCode::FOUND);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

fn own(status: StatusCode, kind: HeaderValue, text: String) -> Response<Bytes> {
    let mut response = bare(status);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    *response.body_mut() = Bytes::from(text);
    response
}

/// A response without a body.
pub(crate) fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn with_cookies(mut response: Response<Bytes>, cookies: Vec<HeaderValue>) -> Response<Bytes> {
    set_cookies(response.headers_mut(), cookies);
    response
}

/// Sets cookies. A response with cookies must not be kept by a shared cache.
pub(crate) fn set_cookies(headers: &mut HeaderMap, cookies: Vec<HeaderValue>) {
    if cookies.is_empty() {
        return;
    }
    let says = |word: &str| {
        headers.get_all(CACHE_CONTROL).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(word))
        })
    };
    if !says("no-store") && !says("private") {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

/// A JSON string literal.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
