//! Answers of our own: pages for people, JSON strings for programs.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderMap, LOCATION, REFERRER_POLICY, RETRY_AFTER, SEC_WEBSOCKET_VERSION, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::body::Content;
use super::pages::{Page, Pages};
use super::refusal::Refusal;
use crate::auth::Reply;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How an answer of ours is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    /// The look of pages.
    pub pages: &'a Pages,
    /// A person reads it.
    pub page: bool,
    /// `X-Request-Id`.
    pub id: &'a HeaderValue,
}

/// A new request id: 16 hexadecimal digits that nobody can guess from others.
pub(super) fn request_id() -> HeaderValue {
    thread_local! {
        static IDS: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    let id = IDS.with(|(state, count)| {
        count.set(count.get() + 1);
        state.hash_one(count.get())
    });
    let mut digits = [b'0'; 16];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = u8::try_from(id >> (4 * place) & 15).unwrap_or_default();
        *digit = b"0123456789abcdef"[usize::from(nibble)];
    }
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0"))
}

/// The whole answer to bytes that hyper cannot read: they never become a request.
pub(super) fn raw_refusal(status: StatusCode) -> Bytes {
    let id = request_id();
    let reason = status.canonical_reason().unwrap_or_default();
    let body = json_string(reason);
    let text = format!(
        concat!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            "cache-control: no-store\r\nx-request-id: {}\r\nconnection: close\r\n\r\n{}",
        ),
        status.as_u16(),
        reason,
        body.len(),
        id.to_str().unwrap_or_default(),
        body,
    );
    Bytes::from(text)
}

/// A refusal as its reader wants it.
pub(super) fn refuse(refusal: &Refusal, manner: Manner<'_>) -> Response<Content> {
    let status = refusal.status();
    let mut response = match refusal {
        Refusal::Asterisk => bare(status),
        Refusal::SignIn { login: Some(login) } => redirect(login),
        // Whoever is no navigation is a program, whatever it says that it accepts: Streamlit shows
        // this text, and a form that was sent would be lost behind a login anyway.
        Refusal::SignIn { login: None } => json(status, json_string(&refusal.message())),
        _ => {
            let message = match refusal {
                Refusal::UnknownHost => {
                    let home = manner.pages.home();
                    format!("{} The right address is {home}", refusal.message()).into()
                }
                _ => refusal.message(),
            };
            let page = Page {
                title: &refusal.title(),
                message: &message,
                reload: refusal.retry_after(),
                action: action(refusal, manner.pages),
                refused: true,
                ..Page::default()
            };
            words(status, &page, manner)
        }
    };
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    match refusal {
        Refusal::WebSocketVersion => {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        Refusal::Method | Refusal::Asterisk => {
            let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        _ => {}
    }
    if refusal.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Text and path of the way on.
fn action<'a>(refusal: &Refusal, pages: &'a Pages) -> Option<(&'a str, &'a str)> {
    match refusal {
        Refusal::UnknownHost => Some((pages.home(), pages.home())),
        Refusal::Denied { .. } => Some(("Sign in as somebody else", "/oauth2/sign_out")),
        Refusal::NotFound | Refusal::CrossSite => Some(("Start page", "/_appliance/")),
        _ => None,
    }
}

/// An answer of the login endpoints.
pub(super) fn reply(reply: Reply, manner: Manner<'_>) -> Response<Content> {
    match reply {
        Reply::Redirect { location, cookies } => with_cookies(redirect(&location), cookies),
        Reply::Page { status, title, message, action, retry_after, cookies } => {
            let page = Page {
                title: &title,
                message: &message,
                reload: retry_after,
                action: action.as_ref().map(|(text, path)| (text.as_str(), path.as_str())),
                refused: !status.is_success(),
                ..Page::default()
            };
            let mut response = words(status, &page, manner);
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

/// A page, or its message as a JSON string.
fn words(status: StatusCode, page: &Page<'_>, manner: Manner<'_>) -> Response<Content> {
    if manner.page {
        html(status, manner.pages.render(page, manner.id), manner.pages)
    } else {
        json(status, json_string(page.message))
    }
}

/// A page of ours.
pub(super) fn html(status: StatusCode, text: String, pages: &Pages) -> Response<Content> {
    let mut response = own(status, HTML, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, pages.policy());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A JSON document.
pub(super) fn json(status: StatusCode, text: String) -> Response<Content> {
    own(status, JSON, text)
}

/// A redirect of the browser, 302.
pub(super) fn redirect(location: &str) -> Response<Content> {
    let mut response = bare(StatusCode::FOUND);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

fn own(status: StatusCode, kind: HeaderValue, text: String) -> Response<Content> {
    let mut response = bare(status);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    *response.body_mut() = Content::Own(Bytes::from(text));
    response
}

fn bare(status: StatusCode) -> Response<Content> {
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn with_cookies(mut response: Response<Content>, cookies: Vec<HeaderValue>) -> Response<Content> {
    set_cookies(response.headers_mut(), cookies);
    response
}

/// Sets cookies. No shared cache may then keep the answer, whatever it said before.
pub(super) fn set_cookies(headers: &mut HeaderMap, cookies: Vec<HeaderValue>) {
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
