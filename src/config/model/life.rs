//! Start, restart and stop of an app, and its phase.

use std::time::Duration;

use super::name::AppName;

/// A dependency on another app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Name of the other app.
    pub app: AppName,
    /// What the dependent waits for.
    pub until: Until,
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The other app was spawned.
    Started,
    /// The other app is ready.
    Ready,
    /// The other app has exited with success.
    Finished,
}

/// Which exits start an app again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Every exit.
    Always,
    /// Every exit except success.
    OnFailure,
    /// No exit.
    Never,
}

/// Exponential back-off with ±20 % jitter, never below `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First pause.
    pub min: Duration,
    /// Longest pause.
    pub max: Duration,
}

/// How an app is stopped: a signal, then KILL to its process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPlan {
    /// The signal that asks the app to stop.
    pub signal: nix::sys::signal::Signal,
    /// Who gets the signal.
    pub target: StopTarget,
    /// Time between the signal and KILL.
    pub timeout: Duration,
}

/// Who gets the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopTarget {
    /// All processes of the group.
    Group,
    /// The leader of the group, which ends the other processes itself.
    Leader,
}

/// The phase of an app, as dependents, the proxy and people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a dependency, or for its turn.
    Waiting,
    /// Its first-time setup runs.
    Setup,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Was ready, but the `ready` probe fails.
    Unready,
    /// Received its stop signal.
    Stopping,
    /// Not running, as intended.
    Stopped,
    /// A oneshot that exited with success, which makes it ready.
    Finished,
    /// Exited; starts again after a pause.
    Backoff,
    /// Exited for good.
    Failed,
}

impl Phase {
    /// The word for the phase in `status --json` and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Setup => "setup",
            Self::Starting => "starting",
            // `status --json` has no word `finished`; its `last_exit` tells the rest.
            Self::Ready | Self::Finished => "ready",
            Self::Unready => "unready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether dependents and requests may proceed.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Finished)
    }
}
