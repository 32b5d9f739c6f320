//! The settings of an app that its life depends on.

use std::time::Duration;

use crate::config::{App, Backoff, Restart, StopPlan};

/// The settings of an app that its life depends on.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the app's table")]
pub(crate) struct Settings {
    /// The app has a process; otherwise it is only an address that is probed.
    pub(crate) process: bool,
    /// The app has a `ready` probe.
    pub(crate) probed: bool,
    pub(crate) deadline: Duration,
    pub(crate) live_failures: u32,
    pub(crate) restart: Restart,
    pub(crate) backoff: Backoff,
    pub(crate) max_restarts: u32,
    pub(crate) window: Duration,
    pub(crate) success: Vec<i32>,
    pub(crate) critical: bool,
    pub(crate) oneshot: bool,
    /// The app has an `idle_stop`.
    pub(crate) sleeps: bool,
    pub(crate) stop: StopPlan,
}

impl From<&App> for Settings {
    fn from(app: &App) -> Self {
        Self {
            process: app.run.is_some(),
            probed: app.ready.is_some() && !app.oneshot,
            deadline: app.ready.as_ref().map_or(Duration::MAX, |ready| ready.deadline),
            live_failures: app.live_failures,
            restart: app.restart,
            backoff: app.backoff,
            max_restarts: app.max_restarts,
            window: app.window,
            success: app.success_exit_codes.clone(),
            critical: app.critical,
            oneshot: app.oneshot,
            sleeps: app.idle_stop.is_some(),
            stop: app.stop,
        }
    }
}

impl Settings {
    /// The back-off pause after this many attempts: `min · 2ⁿ` up to `max`, ±20 % by `jitter` (-1
    /// to 1), never less than `min`.
    pub(super) fn pause(&self, attempts: u32, jitter: f64) -> Duration {
        let Backoff { min, max } = self.backoff;
        let doubled = min.saturating_mul(1 << attempts.min(30)).min(max);
        doubled.mul_f64(1.0 + 0.2 * jitter.clamp(-1.0, 1.0)).max(min)
    }
}
