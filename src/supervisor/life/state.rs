//! The state of an app, including the timer that belongs to the state.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Phase;
use crate::supervisor::exit::Exit;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Rest(Phase),
    Waiting,
    SettingUp,
    Starting { since: Instant, deadline: Option<Instant> },
    Up { ready: Option<Instant>, timeouts: u32, failures: u32 },
    Ending { exit: Option<Exit>, gone: bool, then: Then, due: Instant, checks: Option<u32> },
    Backoff { until: Instant },
}

/// What follows when the incarnation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The app stays stopped.
    Stop,
    /// The app stays stopped until it is needed.
    Sleep,
    /// The app starts again with fresh counters.
    Fresh,
    /// The restart policy decides.
    ApplyPolicy(Option<Fault>),
}

/// Why the supervisor itself declared the incarnation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NotSpawned,
    Late,
    Hangs,
    NotSetUp,
    Memory,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NotSpawned => "its process could not be started",
            Self::Late => "it was not ready within its deadline",
            Self::NotSetUp => "its first-time setup failed",
            Self::Memory => "it used more memory than `max_memory`",
            Self::Hangs => "its live probe failed",
        }
    }
}

/// `now + by`, limited to a year so that the addition cannot overflow.
pub(super) fn later(now: Instant, by: Duration) -> Instant {
    now + by.min(Duration::from_hours(24 * 365))
}
