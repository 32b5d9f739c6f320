//! The time budget of a stop.

use std::time::Duration;

use tokio::time::Instant;

use crate::supervisor::process::sweep::GRACE;

/// Part of the budget that is kept for the sweep and for the last lines of output, at most.
const RESERVE: Duration = Duration::from_millis(300);

/// The time budget of a stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopBudget {
    /// Until this moment the apps may stop.
    apps: Instant,
    /// At this moment the stop ends.
    end: Instant,
}

impl StopBudget {
    pub(super) fn new(budget: Duration) -> Self {
        let budget = budget.min(Duration::from_hours(24));
        let reserve = RESERVE.min(budget / 10);
        let now = Instant::now();
        Self { apps: now + budget.saturating_sub(reserve), end: now + budget }
    }

    /// Ends the budget at once, except for the time that killed processes need to disappear.
    pub(super) fn expire(&mut self) {
        self.apps = Instant::now();
        self.end = self.apps + GRACE;
    }

    pub(super) fn postpone(&mut self, by: Duration) {
        self.apps += by;
        self.end += by;
    }

    /// Remaining time for the apps.
    pub(super) fn left(&self) -> Duration {
        self.apps.saturating_duration_since(Instant::now())
    }

    /// When the supervisor no longer waits even for killed apps.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    pub(super) fn is_over(&self) -> bool {
        self.end <= Instant::now()
    }

    /// Time between TERM and KILL for the processes that remain.
    pub(super) fn for_sweep(&self) -> Duration {
        let least = RESERVE / 3;
        self.end.saturating_duration_since(Instant::now()).clamp(least, GRACE)
    }
}
