//! The style sheets and the script of the appliance's pages, with an `ETag`.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use crate::proxy::answer::pages::{Pages, SCRIPT};

const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// Pages name the version in the address.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");
/// Browsers ask each time: the theme of Keycloak's pages does not know the version.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// `/_appliance/style.css`: the style sheet, or 304 if the browser has this version.
pub(crate) fn style(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    serve(headers, pages, pages.style_sheets.pages.clone(), (CSS, AN_HOUR))
}

/// `/_appliance/sign-in.css`: the style sheet of Keycloak's pages, or 304 if the browser has this version.
pub(crate) fn sign_in_style(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    serve(headers, pages, pages.style_sheets.sign_in.clone(), (CSS, ASK))
}

/// `/_appliance/embed.js`: the script, or 304 if the browser has this version.
pub(crate) fn script(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    serve(headers, pages, Bytes::from_static(SCRIPT.as_bytes()), (JAVASCRIPT, AN_HOUR))
}

fn serve(
    headers: &HeaderMap,
    pages: &Pages,
    text: Bytes,
    (kind, caching): (HeaderValue, HeaderValue),
) -> Response<Bytes> {
    let tag = format!("\"{}\"", pages.version);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(text)
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, caching);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
