//! The handle: how other folders command the supervisor and read the state of the apps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::exit::Exit;
use super::port::own_listener::OwnListener;
use crate::config::{AppName, ListenerCheck, ListenerChecks, Phase};

/// Commands the supervisor and reads the state of its apps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) phases: Arc<HashMap<AppName, watch::Receiver<Phase>>>,
    pub(crate) listeners: Arc<HashMap<AppName, Arc<OwnListener>>>,
    pub(crate) published: Arc<Mutex<Vec<AppStatus>>>,
    pub(crate) critical: watch::Receiver<Option<Critical>>,
}

/// The state of one app as `status` shows it.
#[derive(Debug, Clone)]
pub struct AppStatus {
    /// Name of the app.
    pub name: AppName,
    /// Current phase of the app.
    pub phase: Phase,
    /// Process ID of the leader of its process group.
    pub pid: Option<i32>,
    /// When the current phase began.
    pub since: SystemTime,
    /// Number of restarts since the appliance started.
    pub restarts: u64,
    /// How the last incarnation ended.
    pub last_exit: Option<Exit>,
    /// Why the app does not serve requests: what the probe receives, or how the app failed.
    pub reason: Option<String>,
}

/// A critical app has failed for good: the appliance must stop and exit with this code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// Name of the app.
    pub app: AppName,
    /// Exit code of the app: 128 + n after signal n, 70 if the app has no exit code of its own.
    pub code: u8,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No app has this name.
    #[error("there is no app called {0}")]
    Unknown(String),
    /// The app has no running process.
    #[error("{0} is not running")]
    NotRunning(AppName),
    /// The appliance is stopping.
    #[error("the appliance is stopping")]
    Stopping,
}

/// A message to the supervisor.
#[derive(Debug)]
pub(crate) enum Command {
    Change { app: String, change: Change, reply: oneshot::Sender<Result<(), CommandError>> },
    StopAll { budget: Duration },
    KillAll,
}

/// What a command does to one app.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Start,
    Stop,
    Restart,
    Signal { signal: Signal, group: bool },
}

impl Handle {
    /// Follows the phase of one app. `None` if no app has this name.
    pub fn phase(&self, app: &AppName) -> Option<watch::Receiver<Phase>> {
        self.phases.get(app).cloned()
    }

    /// Whether the programs that listen on the addresses of the apps are the apps.
    pub fn listener_checks(&self) -> ListenerChecks {
        let checks = self.listeners.iter();
        checks
            .map(|(app, check)| (app.clone(), Arc::clone(check) as Arc<dyn ListenerCheck>))
            .collect()
    }

    /// The current state of all apps, in the order of the file. Never waits.
    pub fn status(&self) -> Vec<AppStatus> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `Some` as soon as a critical app has failed for good.
    pub fn critical(&self) -> watch::Receiver<Option<Critical>> {
        self.critical.clone()
    }

    /// Starts an app with fresh counters. With `wait`, returns when the app is ready or has failed.
    /// The start does not wait for dependencies that are stopped or have failed: the operator wants
    /// the app now.
    pub async fn start(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Start, wait.then_some(settled)).await
    }

    /// Stops an app. With `wait`, returns when the app is stopped, or when another command has
    /// started it again.
    pub async fn stop(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Stop, wait.then_some(stopped)).await
    }

    /// Stops an app and starts it again. With `wait`, returns when the app is ready or has failed.
    pub async fn restart(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Restart, wait.then_some(settled)).await
    }

    /// Sends a signal to the leader of the app's process group, or to the whole group.
    pub async fn signal(&self, app: &str, signal: Signal, group: bool) -> Result<(), CommandError> {
        self.change(app, Change::Signal { signal, group }, None).await.map(|_| ())
    }

    /// Stops all apps in reverse order of their dependencies within the budget, then ends the
    /// processes that remain. [`super::Supervisor::run`] returns when this is done.
    pub fn stop_all(&self, budget: Duration) {
        let _ = self.commands.send(Command::StopAll { budget });
    }

    /// Kills all processes at once.
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
