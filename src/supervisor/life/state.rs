//! Where an app is in its life, with the timer that belongs there.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Phase;
use crate::supervisor::exit::Exit;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Rest(Phase),
    Waiting,
    Starting { since: Instant, deadline: Option<Instant> },
    Up { ready: Option<Instant>, silences: u32, misses: u32 },
    Ending { exit: Option<Exit>, gone: bool, then: Then, due: Instant, looks: Option<u32> },
    Backoff { until: Instant },
}

/// What comes when an incarnation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Rest.
    Stop,
    /// A fresh start.
    Fresh,
    /// Whatever the restart policy says.
    Judge(Option<Fault>),
}

/// What we, not its process, found to be the end of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NotSpawned,
    Late,
    Hangs,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NotSpawned => "it could not be started",
            Self::Late => "it was not ready within its deadline",
            Self::Hangs => "its live probe failed",
        }
    }
}

/// A moment that may be far, but is one.
pub(super) fn later(now: Instant, by: Duration) -> Instant {
    now + by.min(Duration::from_hours(24 * 365))
}
