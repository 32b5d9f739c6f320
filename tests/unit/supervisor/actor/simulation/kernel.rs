//! A simulated kernel: processes that exit, fork, hang, stop and ignore signals as a generator with
//! a seed says, on the clock of the runtime.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::apps::key;
use super::process::{Deed, Process, Role};
use super::state::{Check, State};
use super::trace::Trace;
use crate::config::app_of;
use crate::supervisor::exit::Exit;

pub(super) struct SimulatedKernel {
    state: Mutex<State>,
    /// The agenda has changed.
    pub(super) changed: Notify,
    /// SIGCHLD.
    pub(super) deaths: Notify,
}

impl std::fmt::Debug for SimulatedKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedKernel").finish_non_exhaustive()
    }
}

impl SimulatedKernel {
    pub(super) fn new(seed: u64, is_traced: bool) -> Self {
        let state = State::new(seed, Trace::new(is_traced));
        Self { state: Mutex::new(state), changed: Notify::new(), deaths: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks before each spawn of a leader whether it is right.
    pub(super) fn check_spawns(&self, check: Check) {
        self.state().check = Some(check);
    }

    /// Lets time pass for the processes. `look` is called when everything has settled.
    pub(super) async fn run(&self, look: impl Fn(&Self)) {
        loop {
            let next = self.state().agenda.keys().next().map(|(at, _)| *at);
            let far = Instant::now() + Duration::from_hours(1);
            tokio::select! {
                biased;
                () = self.changed.notified() => continue,
                () = sleep_until(next.unwrap_or(far)) => {}
            }
            let settled = {
                let state = self.state();
                let busy = state.busy;
                let quiet = |busy| Instant::now().saturating_duration_since(busy).as_millis() > 1;
                busy.is_none_or(quiet) && state.holds == 0 && !state.is_ending
            };
            if settled && self.state().chance(3) {
                look(self);
            }
            let died = self.state().act();
            if died {
                self.deaths.notify_one();
            }
            if self.state().chance(3) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// From now on, programs start, become ready, and end when they are asked to.
    pub(super) fn calm(&self) {
        let mut state = self.state();
        state.note(|| "calm".to_owned());
        state.is_calm = true;
        let now = Instant::now();
        let running: Vec<i32> =
            state.processes.values().filter(|one| one.runs()).map(|one| one.pid).collect();
        for pid in running {
            let asked = state.processes.get_mut(&pid).is_some_and(|one| {
                one.suspended = false;
                one.asked
            });
            state.plan(pid, now, Deed::Hang(false));
            state.plan_good(pid);
            if asked {
                state.plan(pid, now, Deed::Exit(Exit::Signal(15)));
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Sends a signal from outside, as a person with a shell would.
    pub(super) fn strike(&self, app: &str, signal: Signal) {
        let mut state = self.state();
        let of_app = |one: &&Process| app_of(&one.app) == app && one.is_of_app() && one.runs();
        let pids: Vec<i32> = state.processes.values().filter(of_app).map(|one| one.pid).collect();
        for pid in pids {
            state.receive(pid, signal);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Running processes of the incarnations of one process of an app.
    pub(super) fn living(&self, app: &str) -> Vec<(i32, Role, u64)> {
        let (state, app) = (self.state(), key(app));
        let of_app = state.processes.values().filter(|one| one.app == app && one.is_of_app());
        of_app.filter(|one| one.runs()).map(|one| (one.pid, one.role, one.version)).collect()
    }

    /// Everything that runs.
    pub(super) fn all_living(&self) -> Vec<String> {
        let state = self.state();
        let running = state.processes.values().filter(|one| one.runs());
        running.map(|one| format!("{:?} {} of {}", one.role, one.pid, one.app)).collect()
    }

    /// Whether the leader runs, or has ended so recently that the appliance may not know.
    pub(super) fn leads(&self, app: &str, pid: i32) -> bool {
        let (state, app) = (self.state(), key(app));
        state
            .processes
            .values()
            .any(|one| one.app == app && one.incarnation == pid && one.is_of_app() && one.runs())
    }
}
