//! The head of the last request on a connection in its wire form, from which the request can be sent again.
//!
//! hyper takes each request for itself, and nearly every request gets its response. To keep the bytes that are
//! written anyway costs far less than a copy of every header map; only a failed request is read back from them.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;

use http::{HeaderName, HeaderValue, Method, Request};

use super::upload::Upload;

/// Most fields of a head that is read back: those of a client, and of the appliance.
const MAX_FIELDS: usize = 256;
/// Memory for the head that a connection keeps between two requests, bytes.
const KEPT: usize = 4096;

/// The head of one request. The connection and its socket share it.
#[derive(Debug, Default)]
pub(super) struct SentHead {
    keeps: Cell<bool>,
    bytes: RefCell<Vec<u8>>,
}

impl SentHead {
    /// Begins a request. `keeps`: it may be sent again.
    pub(super) fn begin(&self, keeps: bool) {
        self.keeps.set(keeps);
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        bytes.shrink_to(KEPT);
    }

    /// Notes the first `count` bytes of what was given to the socket.
    pub(super) fn note(&self, parts: &[IoSlice<'_>], count: usize) {
        if !self.keeps.get() {
            return;
        }
        let (mut left, mut bytes) = (count, self.bytes.borrow_mut());
        for part in parts {
            let taken = part.len().min(left);
            bytes.extend_from_slice(&part[..taken]);
            left -= taken;
        }
    }

    /// The request, which has no body; `None` if its head was not written to the end.
    pub(super) fn request(&self) -> Option<Request<Upload>> {
        let bytes = self.bytes.borrow();
        let mut fields = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        if !head.parse(&bytes).ok()?.is_complete() {
            return None;
        }
        let mut request = Request::new(Upload::none());
        *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
        *request.uri_mut() = head.path?.parse().ok()?;
        for field in head.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET /a?b HTTP/1.1\r\nhost: h\r\nx: 1\r\nx: \u{e9}\r\n\r\n";

    fn noted(head: &SentHead, pieces: &[&str], count: usize) {
        let parts: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece.as_bytes())).collect();
        head.note(&parts, count);
    }

    #[test]
    fn a_request_is_read_back_from_the_bytes_that_were_written() {
        let head = SentHead::default();
        head.begin(true);
        // The socket takes a part of what it is given, and the rest the next time.
        let (first, second) = HEAD.split_at(20);
        noted(&head, &[first, second], 25);
        assert!(head.request().is_none(), "a part of a head is no request");
        noted(&head, &[&HEAD[25..]], HEAD.len() - 25);
        let request = head.request().unwrap();
        assert_eq!((request.method(), request.uri()), (&Method::GET, &"/a?b".parse().unwrap()));
        let values: Vec<_> = request.headers().get_all("x").iter().collect();
        assert_eq!(values, ["1".as_bytes(), "\u{e9}".as_bytes()]);
        assert_eq!(request.headers().len(), 3);
    }

    #[test]
    fn a_request_that_is_not_to_be_repeated_is_not_kept() {
        let head = SentHead::default();
        for keeps in [true, false] {
            head.begin(keeps);
            noted(&head, &[HEAD], HEAD.len());
            assert_eq!(head.request().is_some(), keeps);
        }
        head.begin(true);
        assert!(head.request().is_none(), "the request before is gone");
    }
}
