//! What a client pays for frames that carry neither a request nor a body, so that it cannot keep a worker
//! busy with them.
//!
//! Each client begins with a balance. A frame that asks for work only (a reset, settings, a ping, an empty
//! frame) costs; requests, and what the client receives, pay in, because acknowledging a body takes frames,
//! too. A client without a balance floods.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::{DATA, Frame, HEADERS, RESET, SETTINGS};

/// The balance at the beginning, and the highest one.
const MOST: u64 = 4000;
/// What is paid in for each second.
const PER_SECOND: u64 = 50;

/// The balance of a client.
#[derive(Debug)]
pub(super) struct Toll {
    balance: u64,
    paid_until: Instant,
}

impl Toll {
    pub(super) fn new(now: Instant) -> Self {
        Self { balance: MOST, paid_until: now }
    }

    /// A frame of the client. `false` if the client floods.
    #[must_use]
    pub(super) fn charge(&mut self, frame: Frame, now: Instant) -> bool {
        if frame.kind == HEADERS {
            self.pay(4);
            return true;
        }
        let cost = cost(frame);
        if self.balance < cost {
            self.pay_for_time(now);
        }
        let left = self.balance.checked_sub(cost);
        self.balance = left.unwrap_or(0);
        left.is_some()
    }

    /// A frame that the client receives.
    pub(super) fn credit(&mut self, frame: Frame) {
        match frame.kind {
            DATA => self.pay(4 + frame.length as u64 / 512),
            HEADERS => self.pay(8),
            _ => {}
        }
    }

    fn pay(&mut self, amount: u64) {
        self.balance = (self.balance + amount).min(MOST);
    }

    fn pay_for_time(&mut self, now: Instant) {
        let seconds = (now - self.paid_until).as_secs();
        self.paid_until += Duration::from_secs(seconds);
        self.pay(seconds.saturating_mul(PER_SECOND).min(MOST));
    }
}

/// The price of a frame. h2 has a limit of its own for small frames of data.
fn cost(frame: Frame) -> u64 {
    match frame.kind {
        DATA if frame.length > 0 => 0,
        // Each one stops the work on a request that has begun.
        RESET => 10,
        // Each one is applied to all streams.
        SETTINGS => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;
    const WINDOW: u8 = 8;

    fn frame(kind: u8, length: usize) -> Frame {
        Frame { kind, flags: 0, length }
    }

    /// How many rounds of frames a client can send before it floods; `None` if there is no end.
    fn rounds(sent: &[Frame], received: &[Frame], per_second: u32) -> Option<u32> {
        let start = Instant::now();
        let mut toll = Toll::new(start);
        (0..100_000).find(|round| {
            let now = start + Duration::from_secs(1) * *round / per_second;
            let good = sent.iter().all(|frame| toll.charge(*frame, now));
            for frame in received {
                toll.credit(*frame);
            }
            !good
        })
    }

    #[test]
    fn only_a_client_that_asks_for_work_without_end_floods() {
        let (get, body, ping) = (frame(HEADERS, 40), frame(DATA, 16384), frame(PING, 8));
        let window = frame(WINDOW, 4);
        for (sent, received, per_second, wanted) in [
            // Floods.
            (vec![frame(SETTINGS, 6)], vec![], 100_000, Some(800)),
            (vec![ping], vec![ping], 100_000, Some(4000)),
            (vec![frame(DATA, 0)], vec![], 100_000, Some(4000)),
            (vec![frame(2, 5)], vec![], 100_000, Some(4000)),
            (vec![get, frame(RESET, 4)], vec![], 100_000, Some(666)),
            // Requests, uploads, a ping each second.
            (vec![get], vec![frame(HEADERS, 20), body], 1000, None),
            (vec![body], vec![window], 10_000, None),
            (vec![ping], vec![ping], 20, None),
            // A client that acknowledges every piece on the stream and on the connection.
            (vec![window, window], vec![body], 10_000, None),
            (vec![window, window], vec![frame(DATA, 10)], 10_000, None),
            // A person who skips through a video: each request is cancelled during the response.
            (vec![get, frame(RESET, 4)], vec![frame(HEADERS, 20)], 100, None),
        ] {
            assert_eq!(rounds(&sent, &received, per_second), wanted, "{sent:?} {received:?}");
        }
    }
}
