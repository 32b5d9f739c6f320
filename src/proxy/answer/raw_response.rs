//! Complete responses as bytes, for what hyper never turns into a request.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode};

use super::compose::{json, json_string};
use super::request_id::{REQUEST_ID, request_id};

/// The bytes of a response with `status` to bytes that are not HTTP.
pub(crate) fn raw_response(status: StatusCode) -> Bytes {
    let reason = status.canonical_reason().unwrap_or_default();
    serialize(json(status, json_string(reason)), request_id())
}

/// The bytes of the response to HTTP on an address for HTTPS. `public` is the address that is right.
pub(crate) fn plain_http_response(public: &str) -> Bytes {
    let text = format!("This port speaks https. Open {public}");
    serialize(json(StatusCode::BAD_REQUEST, json_string(&text)), request_id())
}

/// The bytes of a response after which the connection is closed.
pub(crate) fn serialize(mut response: Response<Bytes>, id: HeaderValue) -> Bytes {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body());
    bytes.into()
}
