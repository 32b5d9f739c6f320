//! The end: one budget, and what is left when all apps have stopped.

use std::future::Future;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use tokio::time::{Instant, timeout};

use super::processes;
use super::reaper::Reaper;

/// Kept of the budget for the sweep and for the last lines, at most.
const RESERVE: Duration = Duration::from_millis(300);
/// What is left after the apps gets this long between TERM and KILL, and again after KILL.
const GRACE: Duration = Duration::from_millis(500);
/// Some of it are no children of ours, and their end is told to somebody else.
const LOOK: Duration = Duration::from_millis(20);

/// The one budget of a stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// Until then the apps may stop.
    apps: Instant,
    /// Then all is over.
    end: Instant,
}

impl Deadline {
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

/// Ends what the apps left behind: TERM, then KILL after `grace` or as soon as `at_once`
/// resolves. As PID 1 these are all other processes, else those that we have inherited.
pub async fn sweep(reaper: &Reaper, grace: Duration, at_once: impl Future<Output = ()>) {
    if left(reaper).is_empty() {
        return;
    }
    let asking = async {
        signal_left(reaper, Signal::SIGTERM);
        signal_left(reaper, Signal::SIGCONT);
        until_alone(reaper).await;
    };
    tokio::select! {
        done = timeout(grace, asking) => if done.is_ok() { return },
        () = at_once => {}
    }
    let killing = async {
        // Once more for those that were born meanwhile.
        while !left(reaper).is_empty() {
            signal_left(reaper, Signal::SIGKILL);
            let _ = timeout(LOOK, reaper.reaped()).await;
        }
    };
    if timeout(GRACE, killing).await.is_err() {
        tracing::error!(left = ?left(reaper), "processes are still there after they were killed");
    }
}

async fn until_alone(reaper: &Reaper) {
    while !left(reaper).is_empty() {
        let _ = timeout(LOOK, reaper.reaped()).await;
    }
}

fn signal_left(reaper: &Reaper, signal: Signal) {
    if getpid().as_raw() == 1 {
        let _ = kill(Pid::from_raw(-1), signal);
        return;
    }
    for pid in left(reaper) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Pids of living processes that are ours to end.
fn left(reaper: &Reaper) -> Vec<i32> {
    let (us, pid_1) = (getpid().as_raw(), getpid().as_raw() == 1);
    if !pid_1 && !reaper.has_children() {
        return Vec::new();
    }
    processes::all()
        .filter(|seen| seen.pid != us && !seen.has_ended && (pid_1 || seen.parent == us))
        .map(|seen| seen.pid)
        .collect()
}
