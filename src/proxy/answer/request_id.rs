//! The id that ties a response, an access line and an app's log together.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::compose::json_string;

/// The header that carries the id, to the client and to the app.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A new request id: 16 hexadecimal digits that cannot be guessed from other ids.
pub(crate) fn request_id() -> HeaderValue {
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

/// The whole response to bytes that hyper cannot parse, which never become a request.
pub(crate) fn raw_refusal(status: StatusCode) -> Bytes {
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
