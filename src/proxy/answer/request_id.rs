//! The request id, which a response, its access line and the log of the app share, and the random
//! numbers of ids.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::{HeaderName, HeaderValue};

/// The header that carries the id to the client and to the app.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A new request id: 16 hexadecimal digits. An id cannot be guessed from other ids.
pub(crate) fn request_id() -> HeaderValue {
    let mut digits = [b'0'; 16];
    write_hex(&mut digits, random());
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0"))
}

/// A number that cannot be guessed from others, and is not 0: a trace id of zeros is invalid.
pub(crate) fn random() -> u64 {
    thread_local! {
        static NUMBERS: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
    }
    NUMBERS.with(|(state, count)| {
        count.set(count.get() + 1);
        state.hash_one(count.get()).max(1)
    })
}

/// Writes the lowest hexadecimal digits of a number.
pub(crate) fn write_hex(digits: &mut [u8], number: u64) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = u8::try_from(number >> (4 * place) & 15).unwrap_or_default();
        *digit = b"0123456789abcdef"[usize::from(nibble)];
    }
}
