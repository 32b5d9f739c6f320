//! Writes the responses of the appliance: pages, JSON documents, redirects.

use askama::Template;
use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderMap, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::cache_control;
use super::pages::{Buttons, Frame, Notice, Pages};
use crate::auth::Reply;
use crate::texts::{Language, Message};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The format of a response: a page for people or JSON for programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseFormat<'a> {
    /// The parts that all pages share.
    pub pages: &'a Pages,
    /// A person reads the response: it is an HTML page instead of JSON.
    pub page: bool,
    /// A page of another site shows the response in a frame that belongs to an app with `embed`.
    pub embedded: bool,
    /// `X-Request-Id`.
    pub id: &'a HeaderValue,
    /// The language of a page. JSON is in English.
    pub language: Language,
}

impl<'a> ResponseFormat<'a> {
    /// The format for a client that sends these headers. Only a page looks for a language.
    pub(crate) fn of(
        pages: &'a Pages,
        page: bool,
        id: &'a HeaderValue,
        accept_language: Option<&HeaderValue>,
    ) -> Self {
        let language = Language::accepted(accept_language.filter(|_| page));
        Self { pages, page, embedded: false, id, language }
    }

    /// The frame of a page that does not refresh itself, without a signed-in person.
    pub(crate) fn frame(self, title: impl Into<Message>) -> Frame<'a> {
        Frame {
            site: self.pages,
            language: self.language,
            title: title.into().to(self.language),
            user: None,
            reload: None,
            refused: false,
            reason: None,
            id: self.id.to_str().unwrap_or_default(),
        }
    }
}

/// What the next page or image learns of the address of a page of the appliance: nothing but the origin,
/// because the address may hold the code and the state of a login, and apps of the same origin are
/// strangers. A stricter policy would send forms with the origin `null`.
const ORIGIN_ONLY: HeaderValue = HeaderValue::from_static("origin");

/// The response of a login endpoint. A page with `Retry-After` refreshes itself.
pub(crate) fn reply(reply: Reply, format: ResponseFormat<'_>) -> Response<Bytes> {
    let mut response = plain_reply(reply, format);
    response.headers_mut().insert(REFERRER_POLICY, ORIGIN_ONLY);
    response
}

fn plain_reply(reply: Reply, format: ResponseFormat<'_>) -> Response<Bytes> {
    match reply {
        Reply::Redirect { location, cookies } => with_cookies(redirect(&location), cookies),
        Reply::Page { status, title, message, action, link, retry_after, cookies } => {
            let frame =
                Frame { reload: retry_after, refused: !status.is_success(), ..format.frame(title) };
            let buttons = Buttons::of(action.as_ref(), link.as_ref());
            let in_progress = retry_after.is_some();
            let page = Notice { frame, message, buttons, in_progress };
            let mut response = notice(status, &page, format);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            with_cookies(response, cookies)
        }
        Reply::Json { status, body, cookies } => with_cookies(json(status, body), cookies),
        Reply::Empty { status, headers } => {
            let mut response = empty(status);
            response.headers_mut().extend(headers);
            response
        }
    }
}

/// A notice: for people the page, for programs its message as a JSON string.
pub(super) fn notice(
    status: StatusCode,
    notice: &Notice<'_>,
    format: ResponseFormat<'_>,
) -> Response<Bytes> {
    if format.page {
        html(status, notice, format)
    } else {
        json(status, json_string(&notice.message.to_string()))
    }
}

/// An HTML page with its content security policy.
pub(crate) fn html(
    status: StatusCode,
    page: &impl Template,
    format: ResponseFormat<'_>,
) -> Response<Bytes> {
    // Rendering into a string fails only if the `Display` of a value fails. No value here can fail.
    html_text(status, page.render().unwrap_or_default(), format)
}

/// The text of an HTML page, with its content security policy and its language (RFC 9110 §8.5).
pub(crate) fn html_text(
    status: StatusCode,
    text: String,
    format: ResponseFormat<'_>,
) -> Response<Bytes> {
    let mut response = with_body(status, HTML, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, format.pages.policy());
    headers.insert(REFERRER_POLICY, ORIGIN_ONLY);
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(format.language.tag()));
    headers.insert(VARY, ACCEPT_LANGUAGE.into());
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Bytes> {
    with_body(status, JSON, text)
}

/// Bytes of no particular type.
pub(crate) fn octets(text: String) -> Response<Bytes> {
    with_body(StatusCode::OK, HeaderValue::from_static("application/octet-stream"), text)
}

/// A redirect of the browser: 302, or 500 if `location` is not a valid header value.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = empty(StatusCode::FOUND);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// A redirect that keeps the method: 308, or 500 if `location` is not a valid header value. Browsers
/// do not store it, because settings can change.
pub(crate) fn moved_permanently(location: &str) -> Response<Bytes> {
    let mut response = redirect(location);
    if response.status() == StatusCode::FOUND {
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    }
    response
}

fn with_body(status: StatusCode, kind: HeaderValue, text: String) -> Response<Bytes> {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    *response.body_mut() = Bytes::from(text);
    response
}

/// A response without a body. Like every response of the appliance, it must not be cached unless
/// the caller allows it.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn with_cookies(mut response: Response<Bytes>, cookies: Vec<HeaderValue>) -> Response<Bytes> {
    set_cookies(response.headers_mut(), cookies);
    response
}

/// Adds `Set-Cookie` headers. A shared cache must not keep a response with cookies.
pub(crate) fn set_cookies(headers: &mut HeaderMap, cookies: Vec<HeaderValue>) {
    if cookies.is_empty() {
        return;
    }
    cache_control::keep_out_of_shared_caches(headers);
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

/// A JSON string literal.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
