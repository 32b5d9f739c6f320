//! The one budget of a stop.

use std::time::Duration;

use tokio::time::Instant;

use crate::supervisor::process::sweep::GRACE;

/// Kept of the budget for the sweep and for the last lines, at most.
const RESERVE: Duration = Duration::from_millis(300);

/// The one budget of a stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopBudget {
    /// Until then the apps may stop.
    apps: Instant,
    /// Then all is over.
    end: Instant,
}

impl StopBudget {
    pub(super) fn new(budget: Duration) -> Self {
        let budget = budget.min(Duration::from_hours(24));
        let reserve = RESERVE.min(budget / 10);
        let now = Instant::now();
        Self { apps: now + budget.saturating_sub(reserve), end: now + budget }
    }

    /// Nothing is waited for any more but the end of what was killed.
    pub(super) fn now(&mut self) {
        self.apps = Instant::now();
        self.end = self.apps + GRACE;
    }

    pub(super) fn postpone(&mut self, by: Duration) {
        self.apps += by;
        self.end += by;
    }

    /// For the apps.
    pub(super) fn left(&self) -> Duration {
        self.apps.saturating_duration_since(Instant::now())
    }

    /// When even killed apps are no longer waited for.
    pub(super) fn hard(&self) -> Instant {
        self.end
    }

    pub(super) fn is_over(&self) -> bool {
        self.end <= Instant::now()
    }

    /// For those that are left, between TERM and KILL.
    pub(super) fn for_sweep(&self) -> Duration {
        let least = RESERVE / 3;
        self.end.saturating_duration_since(Instant::now()).clamp(least, GRACE)
    }
}
