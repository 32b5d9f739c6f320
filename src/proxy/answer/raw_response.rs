//! The complete response to bytes that are not HTTP, which hyper never turns into a request.

use bytes::Bytes;
use http::StatusCode;

use super::compose::json_string;
use super::request_id::request_id;

/// The bytes of a response with `status`, a request id and `Connection: close`.
pub(crate) fn raw_response(status: StatusCode) -> Bytes {
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
