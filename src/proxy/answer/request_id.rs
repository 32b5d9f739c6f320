//! The request id, which a response, its access line and the log of the app share.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::{HeaderName, HeaderValue};

/// The header that carries the id to the client and to the app.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A new request id: 16 hexadecimal digits. An id cannot be guessed from other ids.
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
