//! A piece of a response that h2 keeps until the client has taken it.

use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::stream::Stream;

/// A piece of a response. Its stream counts it until h2 has sent it, or has given it up.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    stream: Rc<Stream>,
}

impl Piece {
    pub(super) fn new(bytes: Bytes, stream: &Rc<Stream>) -> Self {
        stream.unsent.set(stream.unsent.get() + 1);
        Self { bytes, stream: Rc::clone(stream) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let unsent = self.stream.unsent.get() - 1;
        self.stream.unsent.set(unsent);
        if unsent == 0 {
            self.stream.waker.borrow().wake_by_ref();
        }
    }
}
