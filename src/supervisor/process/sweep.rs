//! Ends the processes that remain after all apps have stopped.

use std::future::Future;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use tokio::time::timeout;

use super::procfs;
use super::reaper::Reaper;

/// Time between TERM and KILL for the remaining processes, and again after KILL.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// Pause between two looks at `/proc`. Some of the processes are not children of the appliance, so
/// their exit raises no SIGCHLD.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the remaining processes: TERM, then KILL after `grace` or as soon as `at_once` resolves. As
/// PID 1 these are all other processes, otherwise the orphans that the appliance has inherited.
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
        // Repeated for processes that were forked meanwhile.
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

/// PIDs of the running processes that the appliance has to end.
fn left(reaper: &Reaper) -> Vec<i32> {
    let (own, pid_1) = (getpid().as_raw(), getpid().as_raw() == 1);
    if !pid_1 && !reaper.has_children() {
        return Vec::new();
    }
    procfs::all()
        .filter(|process| {
            process.pid != own && !process.has_ended && (pid_1 || process.parent == own)
        })
        .map(|process| process.pid)
        .collect()
}
