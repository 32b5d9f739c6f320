//! When an app starts, when it is started again, how it is stopped, and where it is.

use std::time::Duration;

use super::name::AppName;

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// On whom.
    pub app: AppName,
    /// Until when.
    pub until: Until,
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It was spawned.
    Started,
    /// It is ready.
    Ready,
    /// It has exited with success.
    Finished,
}

/// When an app that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Whatever the exit was.
    Always,
    /// Unless the exit was a success.
    OnFailure,
    /// Never.
    Never,
}

/// Exponential, with ±20 % jitter; `min` is a true lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First pause.
    pub min: Duration,
    /// Longest pause.
    pub max: Duration,
}

/// How an app is stopped: a signal to its group, then KILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPlan {
    /// The polite one.
    pub signal: nix::sys::signal::Signal,
    /// How long it may take.
    pub timeout: Duration,
}

/// Where an app is in its life; what dependents, the proxy and people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For a dependency or for its turn.
    Waiting,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Was ready; its probe says no.
    Unready,
    /// Told to stop.
    Stopping,
    /// Not running, as wished. A oneshot that succeeded is `Finished`.
    Stopped,
    /// A oneshot that exited with success; that is when it is ready.
    Finished,
    /// Ended; will be started again after a pause.
    Backoff,
    /// Ended for good.
    Failed,
}

impl Phase {
    /// The word of `status --json` and of pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            // Whoever waits for a word of the contract sees one: its exit tells the rest.
            Self::Ready | Self::Finished => "ready",
            Self::Unready => "unready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether dependents and requests may go ahead.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Finished)
    }
}
