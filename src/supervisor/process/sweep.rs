//! Ends the processes that remain after all apps have stopped.

use std::future::Future;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::reaper::Reaper;

/// Time between TERM and KILL for the remaining processes, and again after KILL.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// Pause between two looks at `/proc`. Some of the processes are not children of the appliance, so
/// their exit raises no SIGCHLD.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the remaining processes: TERM, then KILL after `grace` or as soon as `at_once` resolves. As
/// PID 1 these are all other processes, otherwise the orphans that the appliance has inherited.
pub async fn sweep(reaper: &Reaper, grace: Duration, at_once: impl Future<Output = ()>) {
    if reaper.left().is_empty() {
        return;
    }
    let asking = async {
        reaper.signal_left(Signal::SIGTERM);
        reaper.signal_left(Signal::SIGCONT);
        until_alone(reaper).await;
    };
    tokio::select! {
        biased;
        done = timeout(grace, asking) => if done.is_ok() { return },
        () = at_once => {}
    }
    let killing = async {
        // Repeated for processes that were forked meanwhile.
        while !reaper.left().is_empty() {
            reaper.signal_left(Signal::SIGKILL);
            let _ = timeout(LOOK, reaper.reaped()).await;
        }
    };
    if timeout(GRACE, killing).await.is_err() {
        tracing::error!(left = ?reaper.left(), "processes are still there after they were killed");
    }
}

async fn until_alone(reaper: &Reaper) {
    while !reaper.left().is_empty() {
        let _ = timeout(LOOK, reaper.reaped()).await;
    }
}
