//! The style sheet and the script of the appliance's pages, with an `ETag`.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use crate::proxy::answer::pages::{Pages, SCRIPT, STYLE};

const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// `/_appliance/style.css`: the style sheet, or 304 if the browser has this version.
pub(crate) fn style(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    serve(headers, pages, STYLE, CSS)
}

/// `/_appliance/embed.js`: the script, or 304 if the browser has this version.
pub(crate) fn script(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    serve(headers, pages, SCRIPT, JAVASCRIPT)
}

fn serve(
    headers: &HeaderMap,
    pages: &Pages,
    text: &'static str,
    kind: HeaderValue,
) -> Response<Bytes> {
    let tag = format!("\"{}\"", pages.version);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(text.into())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
