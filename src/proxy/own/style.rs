//! The style sheet of the appliance's pages, with an `ETag`.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use http::{HeaderValue, Response, StatusCode};

use crate::proxy::answer::pages::{Pages, STYLE};

/// `/_appliance/style.css`: the style sheet, or 304 if the browser has this version.
pub(crate) fn serve(headers: &HeaderMap, pages: &Pages) -> Response<Bytes> {
    let tag = format!("\"{}\"", pages.version);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(STYLE.into())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
