//! The way to talk to the supervisor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::exit::Exit;
use crate::config::{AppName, Phase};

/// The way to talk to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) phases: Arc<HashMap<AppName, watch::Receiver<Phase>>>,
    pub(crate) shown: Arc<Mutex<Vec<AppStatus>>>,
    pub(crate) critical: watch::Receiver<Option<Critical>>,
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
    pub since: SystemTime,
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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

/// What the supervisor is told.
#[derive(Debug)]
pub(crate) enum Command {
    Change { app: String, change: Change, reply: oneshot::Sender<Result<(), CommandError>> },
    StopAll { budget: Duration },
    KillAll,
}

/// What is to happen to one app.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Start,
    Stop,
    Restart,
    Signal { signal: Signal, group: bool },
}

impl Handle {
    /// The phase of one app, as it changes.
    pub fn phase(&self, app: &AppName) -> Option<watch::Receiver<Phase>> {
        self.phases.get(app).cloned()
    }

    /// All apps as they are now, in the order of the file. Never waits.
    pub fn status(&self) -> Vec<AppStatus> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Some once a critical app has failed for good.
    pub fn critical(&self) -> watch::Receiver<Option<Critical>> {
        self.critical.clone()
    }

    /// Starts an app afresh; waits until it is ready or failed when `wait` is set. It does not
    /// wait for dependencies that were stopped or have failed: whoever says so wants it now.
    pub async fn start(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Start, wait.then_some(settled)).await
    }

    /// Stops an app; waits until it is stopped when `wait` is set, or until somebody else has
    /// started it again.
    pub async fn stop(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Stop, wait.then_some(stopped)).await
    }

    /// Stops and starts it.
    pub async fn restart(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Restart, wait.then_some(settled)).await
    }

    /// Sends a signal to its leader, or to its whole group.
    pub async fn signal(&self, app: &str, signal: Signal, group: bool) -> Result<(), CommandError> {
        self.change(app, Change::Signal { signal, group }, None).await.map(|_| ())
    }

    /// Stops all apps in reverse order of their dependencies within the budget, then sweeps what
    /// is left. [`super::Supervisor::run`] returns when it is done.
    pub fn stop_all(&self, budget: Duration) {
        let _ = self.commands.send(Command::StopAll { budget });
    }

    /// Kills all that is left at once.
    pub fn kill_all(&self) {
        let _ = self.commands.send(Command::KillAll);
    }

    async fn change(
        &self,
        name: &str,
        change: Change,
        until: Option<fn(Phase) -> bool>,
    ) -> Result<Phase, CommandError> {
        let unknown = || CommandError::Unknown(name.to_owned());
        let app = AppName::new(name).ok_or_else(unknown)?;
        let mut phase = self.phase(&app).ok_or_else(unknown)?;
        let (reply, done) = oneshot::channel();
        let command = Command::Change { app: name.to_owned(), change, reply };
        self.commands.send(command).map_err(|_| CommandError::Stopping)?;
        done.await.map_err(|_| CommandError::Stopping)??;
        match until {
            Some(until) => {
                let reached = phase.wait_for(|phase| until(*phase)).await;
                reached.map(|phase| *phase).map_err(|_| CommandError::Stopping)
            }
            None => Ok(*phase.borrow()),
        }
    }
}

fn settled(phase: Phase) -> bool {
    phase.is_ready() || matches!(phase, Phase::Failed | Phase::Stopped)
}

fn stopped(phase: Phase) -> bool {
    phase != Phase::Stopping
}
