//! How long a client may take no bytes of a response: `send_timeout` if the client is alive,
//! `body_timeout` if it no longer answers the kernel.
//!
//! A browser stops reading while a download or a video is paused. The kernel then asks the client now
//! and then whether it reads again, and the client's answers show that it is alive.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::stream::Stream;
use crate::proxy::socket::tcp_info::SentBytes;

/// The parts of `body_timeout` after which the client is looked at.
const LOOKS: u32 = 8;
/// The shortest time without an answer that says anything: the kernel asks about once per second.
const SHORTEST_SILENCE: Duration = Duration::from_secs(3);

/// The time limits of a client that does not read.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendLimits {
    /// For a client that is alive.
    pub alive: Duration,
    /// For a client that does not answer.
    pub silent: Duration,
}

/// A response whose next bytes the socket does not take.
#[derive(Debug)]
pub(super) struct SendStall {
    limits: SendLimits,
    progress: SendProgress,
    alarm: Alarm,
}

impl SendStall {
    pub(super) fn new(stream: &Stream, limits: SendLimits) -> Self {
        let limits = SendLimits { silent: limits.silent.max(SHORTEST_SILENCE), ..limits };
        stream.limit_pause(limits.silent / LOOKS);
        let progress = SendProgress::new(Instant::now(), stream.sent_bytes());
        Self { limits, progress, alarm: Alarm::after(limits.silent / LOOKS) }
    }

    /// Ready when the client has taken nothing for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stream: &Stream) -> Poll<()> {
        loop {
            ready!(self.alarm.poll(cx));
            let now = Instant::now();
            if self.progress.is_over(now, stream.sent_bytes(), self.limits) {
                return Poll::Ready(());
            }
            let end = self.progress.moved + self.limits.alive;
            self.alarm.set(end.min(now + self.limits.silent / LOOKS));
        }
    }
}

/// What the looks at a client have shown.
#[derive(Debug)]
struct SendProgress {
    acknowledged: u64,
    /// When the client has last taken bytes.
    moved: Instant,
    /// Since when the client owes an answer.
    silent: Option<Instant>,
}

impl SendProgress {
    fn new(now: Instant, sent: Option<SentBytes>) -> Self {
        let acknowledged = sent.map_or(0, |sent| sent.acknowledged);
        Self { acknowledged, moved: now, silent: None }
    }

    /// Whether a time limit has passed. `sent` is `None` on a unix socket, whose other end is a
    /// process of this machine.
    fn is_over(&mut self, now: Instant, sent: Option<SentBytes>, limits: SendLimits) -> bool {
        if let Some(sent) = sent {
            if sent.acknowledged != self.acknowledged {
                self.acknowledged = sent.acknowledged;
                self.moved = now;
            }
            // While the kernel has asked nothing, a long silence says nothing.
            self.silent = sent.unanswered.map(|last| {
                let since = self.silent.unwrap_or(now);
                now.checked_sub(last).map_or(since, |answer| answer.max(since))
            });
        }
        self.silent.is_some_and(|since| now - since >= limits.silent)
            || now - self.moved >= limits.alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: SendLimits =
        SendLimits { alive: Duration::from_mins(5), silent: Duration::from_secs(30) };

    /// The second at which a client is given up, if it is looked at every 4 s. `state` tells what the
    /// kernel knows at a second.
    fn given_up(state: impl Fn(u64) -> Option<SentBytes>) -> Option<u64> {
        let start = Instant::now();
        let mut progress = SendProgress::new(start, state(0));
        (4..2000).step_by(4).find(|&at| {
            progress.is_over(start + u32::try_from(at).unwrap() * SECOND, state(at), LIMITS)
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the cases have no kernel, too")]
    fn sent(acknowledged: u64, unanswered: Option<u64>) -> Option<SentBytes> {
        Some(SentBytes { acknowledged, unanswered: unanswered.map(Duration::from_secs) })
    }

    #[test]
    fn a_client_that_answers_has_the_long_time() {
        // Paused: the kernel asks every 60 s, and each answer comes in the next second.
        assert_eq!(given_up(|at| sent(7, (at % 60 == 0).then_some(60))), Some(300));
        assert_eq!(given_up(|_| sent(7, None)), Some(300));
        // Bytes are in flight all the time, and answers come.
        assert_eq!(given_up(|_| sent(7, Some(2))), Some(300));
        // Reads on after a pause, and then some bytes a minute.
        assert_eq!(given_up(|at| sent(at / 280, None)), None);
        assert_eq!(given_up(|at| sent(at / 60, Some(20))), None);
        // A unix socket.
        assert_eq!(given_up(|_| None), Some(300));
    }

    #[test]
    fn a_client_that_is_gone_has_the_short_time() {
        assert_eq!(given_up(|at| sent(7, Some(at))), Some(36));
        // Paused for 100 s, then gone: the next question of the kernel stays without an answer.
        assert_eq!(given_up(|at| sent(7, (at >= 100).then(|| at - 90))), Some(132));
        // It reads, and is gone at 500 s.
        assert_eq!(given_up(|at| sent(at.min(500), Some(at.saturating_sub(500)))), Some(532));
    }
}
