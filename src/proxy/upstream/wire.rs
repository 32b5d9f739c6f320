//! What a connection to an app and its socket, with hyper between the two, tell each other.

use std::cell::Cell;

/// Reads of an answer's head that are not counted: an ordinary head comes with the first one.
const FREE_READS: u8 = 4;
/// Bytes of an answer's head, all interim answers included, beyond the free reads. One head alone is
/// bounded by hyper.
const MOST: usize = 512 * 1024;

/// The state of a connection that both sides see.
#[derive(Debug)]
pub(super) struct Wire {
    /// Whether the rest of an answer is waited for.
    ///
    /// Servers that write an answer's head and its body in two steps and left Nagle's algorithm on
    /// (uvicorn does) hold the body back until the head is acknowledged, which the kernel would do
    /// 40 ms later. An answer that came whole is acknowledged with the next request and costs no call.
    pub(super) hurry: Cell<bool>,
    /// The final head of an answer has not come yet.
    in_head: Cell<bool>,
    free: Cell<u8>,
    left: Cell<usize>,
    flooded: Cell<bool>,
}

/// How much may be read from the app next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// As much as hyper likes.
    Free,
    /// That many bytes.
    Bytes(usize),
    /// Nothing more.
    UsedUp,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            hurry: Cell::new(false),
            in_head: Cell::new(false),
            free: Cell::new(0),
            left: Cell::new(0),
            flooded: Cell::new(false),
        }
    }
}

impl Wire {
    /// From now on an answer's head is read. hyper skips interim answers for as long as they come, so
    /// their number is bounded here.
    pub(super) fn begin_head(&self) {
        self.in_head.set(true);
        self.free.set(FREE_READS);
        self.left.set(MOST);
    }

    /// The final head has come; its body is as long as it is.
    pub(super) fn end_head(&self) {
        self.in_head.set(false);
    }

    /// Whether an app used up what its head may have.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    pub(super) fn allowance(&self) -> Allowance {
        if !self.in_head.get() || self.free.get() > 0 {
            return Allowance::Free;
        }
        match self.left.get() {
            0 => {
                self.flooded.set(true);
                Allowance::UsedUp
            }
            left => Allowance::Bytes(left),
        }
    }

    /// Something was read.
    pub(super) fn note_read(&self) {
        self.free.set(self.free.get().saturating_sub(1));
    }

    /// That many counted bytes of a head were read.
    pub(super) fn count(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_sub(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_head_of_an_answer_is_bounded() {
        let wire = Wire::default();
        assert_eq!(wire.allowance(), Allowance::Free);
        for _ in 0..2 {
            wire.begin_head();
            for _ in 0..FREE_READS {
                assert_eq!(wire.allowance(), Allowance::Free);
                wire.note_read();
            }
            assert_eq!(wire.allowance(), Allowance::Bytes(MOST));
            wire.count(MOST - 1);
            assert_eq!(wire.allowance(), Allowance::Bytes(1));
            wire.end_head();
            assert_eq!(wire.allowance(), Allowance::Free);
        }
        wire.begin_head();
        (0..FREE_READS).for_each(|_| wire.note_read());
        wire.count(MOST);
        assert!(!wire.is_flooded());
        assert_eq!(wire.allowance(), Allowance::UsedUp);
        assert!(wire.is_flooded());
    }
}
