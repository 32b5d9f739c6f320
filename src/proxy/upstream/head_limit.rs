//! The limit on the bytes that an app sends before the final head of its response.
//!
//! hyper skips interim responses (1xx) for as long as they arrive. Without a limit, an app could keep
//! a worker busy and a request waiting with them.

use std::cell::Cell;

/// Reads of a head that are not counted: an ordinary head arrives with the first one.
const FREE_READS: u8 = 4;
/// Most bytes before the final head after the free reads, interim responses included. hyper limits
/// the length of one head.
const MAX_BYTES: usize = 512 * 1024;

/// The limit of one connection. The connection and its socket share it.
#[derive(Debug, Default)]
pub(super) struct HeadLimit {
    /// The final head has not arrived yet.
    in_head: Cell<bool>,
    free_reads: Cell<u8>,
    bytes_left: Cell<usize>,
    exceeded: Cell<bool>,
}

/// How much the socket may read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Any number of bytes.
    Unlimited,
    /// That many bytes.
    Bytes(usize),
    /// Nothing.
    None,
}

impl HeadLimit {
    /// Begins to count: the proxy waits for the head of a response.
    pub(super) fn begin(&self) {
        self.in_head.set(true);
        self.free_reads.set(FREE_READS);
        self.bytes_left.set(MAX_BYTES);
    }

    /// Ends the count: the final head has arrived. The body has no limit.
    pub(super) fn end(&self) {
        self.in_head.set(false);
    }

    /// Whether an app has exceeded the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    pub(super) fn allowance(&self) -> Allowance {
        if !self.in_head.get() || self.free_reads.get() > 0 {
            return Allowance::Unlimited;
        }
        match self.bytes_left.get() {
            0 => {
                self.exceeded.set(true);
                Allowance::None
            }
            left => Allowance::Bytes(left),
        }
    }

    /// Notes that the socket was read.
    pub(super) fn note_read(&self) {
        self.free_reads.set(self.free_reads.get().saturating_sub(1));
    }

    /// Counts bytes of a head.
    pub(super) fn count(&self, bytes: usize) {
        self.bytes_left.set(self.bytes_left.get().saturating_sub(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_head_of_a_response_is_limited() {
        let limit = HeadLimit::default();
        assert_eq!(limit.allowance(), Allowance::Unlimited);
        for _ in 0..2 {
            limit.begin();
            for _ in 0..FREE_READS {
                assert_eq!(limit.allowance(), Allowance::Unlimited);
                limit.note_read();
            }
            assert_eq!(limit.allowance(), Allowance::Bytes(MAX_BYTES));
            limit.count(MAX_BYTES - 1);
            assert_eq!(limit.allowance(), Allowance::Bytes(1));
            limit.end();
            assert_eq!(limit.allowance(), Allowance::Unlimited);
        }
        limit.begin();
        (0..FREE_READS).for_each(|_| limit.note_read());
        limit.count(MAX_BYTES);
        assert!(!limit.is_exceeded());
        assert_eq!(limit.allowance(), Allowance::None);
        assert!(limit.is_exceeded());
    }
}
