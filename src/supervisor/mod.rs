//! Processes: order, readiness, restarts, output, stop.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;

use crate::config::{App, AppName, Phase};
use crate::telemetry::LogHandle;

/// The actor that owns all apps.
#[derive(Debug)]
pub struct Supervisor {}

/// The way to talk to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// `exit(n)`
    Code(i32),
    /// Killed by a signal.
    Signal(i32),
}

/// One app as `status` shows it.
#[derive(Debug, Clone)]
pub struct AppStatus {
    /// Its name.
    pub name: AppName,
    /// Where it is in its life.
    pub phase: Phase,
    /// Leader of its group.
    pub pid: Option<i32>,
    /// When this phase began.
    pub since: std::time::SystemTime,
    /// Restarts since the appliance started.
    pub restarts: u64,
    /// How the last incarnation ended.
    pub last_exit: Option<Exit>,
}

/// A critical app has failed for good: the appliance has to end with this code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// Which.
    pub app: AppName,
    /// Its own exit code, 128 + n for a signal, 70 without one.
    pub code: u8,
}

/// A command that could not be carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// No such app.
    #[error("there is no app called {0}")]
    Unknown(String),
    /// The app has no process of ours.
    #[error("{0} is not running")]
    NotRunning(AppName),
    /// We are stopping.
    #[error("the appliance is stopping")]
    Stopping,
}

impl Supervisor {
    /// Nothing is spawned before [`Self::run`].
    pub fn new(
        _apps: Vec<App>,
        _state_dir: std::path::PathBuf,
        _reaper: Reaper,
        _log: LogHandle,
    ) -> (Self, Handle) {
        todo!()
    }

    /// Starts the apps in order and looks after them until [`Handle::stop_all`] is done.
    pub async fn run(self) {
        todo!()
    }
}

/// Sole caller of `wait*`.
#[derive(Debug, Clone)]
pub struct Reaper {}

impl Handle {
    /// The phase of one app, as it changes.
    pub fn phase(&self, _app: &AppName) -> Option<watch::Receiver<Phase>> {
        todo!()
    }

    /// All apps as they are now, in the order of the file. Never waits.
    pub fn status(&self) -> Vec<AppStatus> {
        todo!()
    }

    /// Some once a critical app has failed for good.
    pub fn critical(&self) -> watch::Receiver<Option<Critical>> {
        todo!()
    }

    /// Starts an app afresh; waits until it is ready or failed when `wait` is set.
    pub async fn start(&self, _app: &str, _wait: bool) -> Result<Phase, CommandError> {
        todo!()
    }

    /// Stops an app; waits until it is stopped when `wait` is set.
    pub async fn stop(&self, _app: &str, _wait: bool) -> Result<Phase, CommandError> {
        todo!()
    }

    /// Stops and starts it.
    pub async fn restart(&self, _app: &str, _wait: bool) -> Result<Phase, CommandError> {
        todo!()
    }

    /// Sends a signal to its leader, or to its whole group.
    pub async fn signal(
        &self,
        _app: &str,
        _signal: Signal,
        _group: bool,
    ) -> Result<(), CommandError> {
        todo!()
    }

    /// Stops all apps in reverse order of their dependencies within the budget, then sweeps what
    /// is left. [`Supervisor::run`] returns when it is done.
    pub fn stop_all(&self, _budget: Duration) {
        todo!()
    }

    /// Kills all that is left at once.
    pub fn kill_all(&self) {
        todo!()
    }
}
