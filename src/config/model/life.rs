//! Start, restart and stop of an app, and its phase.

use std::time::Duration;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;

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

/// Times at which an app runs, or at which it is restarted.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The schedule as written.
    pub text: String,
    /// The times that it means.
    pub times: Times,
}

/// The times of a [`Schedule`].
#[derive(Debug, Clone)]
pub enum Times {
    /// `every 10m`
    Every(Duration),
    /// A cron expression.
    Cron(Box<Cron>),
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Schedule {
    /// The first time after another one, by the clock of a time zone. `None` if there is none.
    ///
    /// A time of day that the zone's clock jumps over comes when the gap ends, and one that the
    /// clock shows twice comes once; times with `*`, steps or lists in minutes or hours follow each
    /// hour as it passes.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match &self.times {
            Times::Every(pause) => after.checked_add(*pause).ok(),
            Times::Cron(cron) => {
                let after = after.to_zoned(zone.clone());
                cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
            }
        }
    }
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
    /// Stopped because nobody uses it; the next request starts it.
    Idle,
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
            // `reason` in `status --json` tells the difference.
            Self::Stopped | Self::Idle => "stopped",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether a critical app in this phase lets the appliance count as ready. `sleeps`: the app has an
    /// `idle_stop`; while it is stopped for that, or starts for a request, it can be used.
    pub fn is_available(self, sleeps: bool) -> bool {
        let on_demand = matches!(
            self,
            Self::Idle | Self::Waiting | Self::Setup | Self::Starting | Self::Stopping
        );
        self.is_ready() || sleeps && on_demand
    }

    /// Whether the app stays in this phase until something else happens.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Ready | Self::Finished | Self::Stopped | Self::Idle | Self::Failed => true,
            Self::Waiting
            | Self::Setup
            | Self::Starting
            | Self::Unready
            | Self::Stopping
            | Self::Backoff => false,
        }
    }

    /// Whether dependents and requests may proceed.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Finished)
    }
}
