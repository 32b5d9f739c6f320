//! What happened in a run, for its digest and for a failure.

use std::collections::VecDeque;
use std::fmt::Write as _;

use tokio::time::Instant;

/// Lines of the trace that a failure shows.
const SHOWN: usize = 300;

pub(super) struct Trace {
    began: Instant,
    digest: u64,
    /// The lines are kept.
    is_kept: bool,
    lines: VecDeque<String>,
}

impl Trace {
    pub(super) fn new(is_kept: bool) -> Self {
        Self { began: Instant::now(), digest: 0, is_kept, lines: VecDeque::new() }
    }

    /// Stops keeping lines: what comes after a violation does not explain it.
    pub(super) fn close(&mut self) {
        self.is_kept = false;
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let at = u64::try_from(self.began.elapsed().as_micros()).unwrap_or_default();
        self.digest = (self.digest ^ at).wrapping_mul(0x0100_0000_01b3);
        if !self.is_kept {
            return;
        }
        if self.lines.len() == SHOWN {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>8} {}", at / 1000, text()));
    }

    /// Of when everything happened.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}
