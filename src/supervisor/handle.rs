//! The handle: how other folders command the supervisor and read the state of the apps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::exit::Exit;
use super::idle::nap::Nap;
use super::incident::Incident;
use super::port::client::ClientUsers;
use super::port::outsider::Outsider;
use super::port::own_listener::OwnListener;
use super::timeline::{Course, StartReport};
use super::usage::Usage;
use super::usage::meter::Meter;
use crate::config::{
    App, AppClients, AppName, Config, ListenerCheck, ListenerChecks, Phase, Sleeper, Sleepers,
};

/// Commands the supervisor and reads the state of its apps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) published: Arc<Mutex<Published>>,
    pub(crate) critical: watch::Receiver<Option<Critical>>,
    pub(crate) incidents: broadcast::Sender<Incident>,
    pub(crate) meter: Meter,
    pub(crate) clients: Arc<ClientUsers>,
    pub(crate) started: watch::Receiver<Option<StartReport>>,
}

/// What the supervisor shows of all apps, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) statuses: Vec<AppStatus>,
    pub(crate) outlets: HashMap<AppName, Outlet>,
    /// The apps with several processes.
    pub(crate) groups: HashMap<AppName, Group>,
}

/// An app with several processes.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The phase of the best process.
    pub(crate) phase: watch::Receiver<Phase>,
    /// Names of the processes.
    pub(crate) processes: Vec<AppName>,
    pub(crate) nap: Arc<Nap>,
}

/// How other folders follow one app.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) listener: Arc<OwnListener>,
    pub(crate) nap: Arc<Nap>,
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
    /// When the last start was due, and how it went.
    pub course: Course,
    /// How long the last start took, from the spawn to readiness.
    pub start: Option<Duration>,
    /// How the last incarnation ended.
    pub last_exit: Option<Exit>,
    /// Why the app does not serve requests: what the probe receives, or how the app failed.
    pub reason: Option<String>,
    /// When the app runs next by its `schedule`.
    pub next_run: Option<SystemTime>,
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
    Change {
        app: String,
        change: Change,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Restarts the processes of an app one after the other.
    Roll {
        app: String,
        reply: oneshot::Sender<Result<(), CommandError>>,
        /// Told when the last process has settled.
        done: oneshot::Sender<()>,
    },
    /// All apps of a changed configuration, and those whose process is replaced.
    Reconfigure {
        apps: Vec<App>,
        replaced: Vec<AppName>,
        parallel_starts: usize,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    StopAll {
        budget: Duration,
    },
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
    /// Follows the phase of one app, or of one of its processes. `None` if none has this name. An app
    /// with several processes has the phase of the best one.
    pub fn phase(&self, app: &AppName) -> Option<watch::Receiver<Phase>> {
        let published = self.published();
        let outlet = published.outlets.get(app).map(|outlet| &outlet.phase);
        outlet.or_else(|| published.groups.get(app).map(|group| &group.phase)).cloned()
    }

    /// The names of the processes of an app with several; `None` for anything else.
    fn group(&self, app: &str) -> Option<Vec<AppName>> {
        let published = self.published();
        published.groups.get(&AppName::new(app)?).map(|group| group.processes.clone())
    }

    /// Whether the programs that listen on the addresses of the apps are the apps.
    pub fn listener_checks(&self) -> ListenerChecks {
        let published = self.published();
        let checks = published.outlets.iter().map(|(app, outlet)| {
            let check: Arc<dyn ListenerCheck> = outlet.listener.clone();
            (app.clone(), check)
        });
        checks.collect()
    }

    /// Remembers which users the apps of a configuration run as, also of those that have not run yet: a
    /// process of such a user serves nothing in the place of a program that [`Self::outsider_check`] is for.
    pub fn remember_users(&self, config: &Config) {
        for (app, run) in config.apps.iter().filter_map(|app| Some((app, app.run.as_ref()?))) {
            // A user that cannot be found now is known when the app starts.
            if let Ok(Some(account)) = run.account() {
                self.clients.0.remember_user(&app.name, account.uid.as_raw());
            }
        }
    }

    /// The check of connections to `what`, a program that the appliance does not run and no other app
    /// than those `named` may serve, on this machine.
    pub fn outsider_check(
        &self,
        what: String,
        named: Vec<AppName>,
        config: &Config,
    ) -> Arc<dyn ListenerCheck> {
        Arc::new(Outsider::new(self.clients.0.clone(), what, named, config))
    }

    /// Recognises the apps among the clients of the front door.
    pub fn app_clients(&self) -> Arc<dyn AppClients> {
        self.clients.clone()
    }

    /// What the proxy tells about the use of the apps, and how it wakes them. The processes of an app
    /// have one sleeper, which is known by the name of the app as well.
    pub fn sleepers(&self) -> Sleepers {
        let published = self.published();
        let naps = published.outlets.iter().map(|(app, outlet)| (app, &outlet.nap));
        let naps = naps.chain(published.groups.iter().map(|(app, group)| (app, &group.nap)));
        let sleepers = naps.map(|(app, nap)| {
            let sleeper: Arc<dyn Sleeper> = nap.clone();
            (app.clone(), sleeper)
        });
        sleepers.collect()
    }

    /// The current state of all apps, in the order of the file. Never waits.
    pub fn status(&self) -> Vec<AppStatus> {
        self.published().statuses.clone()
    }

    /// What the running apps use. Reads `/proc` on another thread.
    pub async fn usage(&self) -> HashMap<AppName, Usage> {
        let running = self.status().into_iter().filter_map(|one| Some((one.name, one.pid?)));
        self.meter.look(running.collect()).await
    }

    /// The app that a child of the appliance belongs to; `None` for what an ended process left behind.
    pub fn app_of(&self, child: i32) -> Option<AppName> {
        self.meter.app_of(child)
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the apps to those of another configuration: new apps are started, missing ones are
    /// stopped, and the processes of `replaced` are restarted in order. The settings of all others
    /// are in force at once. Returns when the change has begun: the phases of all apps can be
    /// followed.
    pub async fn reconfigure(
        &self,
        apps: Vec<App>,
        replaced: Vec<AppName>,
        parallel_starts: usize,
    ) -> Result<(), CommandError> {
        let (reply, done) = oneshot::channel();
        let command = Command::Reconfigure { apps, replaced, parallel_starts, reply };
        self.commands.send(command).map_err(|_| CommandError::Stopping)?;
        done.await.map_err(|_| CommandError::Stopping)?
    }

    /// `Some` as soon as a critical app has failed for good.
    pub fn critical(&self) -> watch::Receiver<Option<Critical>> {
        self.critical.clone()
    }

    /// The troubles of apps from now on. A receiver that is too slow loses the oldest ones.
    pub fn incidents(&self) -> broadcast::Receiver<Incident> {
        self.incidents.subscribe()
    }

    /// How the start of the appliance went: `Some` as soon as no app is starting any more.
    pub fn started(&self) -> watch::Receiver<Option<StartReport>> {
        self.started.clone()
    }

    /// Starts an app with fresh counters. With `wait`, returns when the app is ready or has failed.
    /// The start does not wait for dependencies that are down for now: stopped or failed ones, and those
    /// that wait for one of them or for their time. The operator wants the app now.
    pub async fn start(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Start, wait.then_some(Phase::is_settled)).await
    }

    /// Stops an app. With `wait`, returns when the app is stopped, or when another command has
    /// started it again.
    pub async fn stop(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        self.change(app, Change::Stop, wait.then_some(stopped)).await
    }

    /// Stops an app and starts it again. With `wait`, returns when the app is ready or has failed.
    /// Several processes of an app are restarted one after the other.
    pub async fn restart(&self, app: &str, wait: bool) -> Result<Phase, CommandError> {
        if let Some(processes) = self.group(app) {
            return self.roll(app, &processes, wait).await;
        }
        self.change(app, Change::Restart, wait.then_some(Phase::is_settled)).await
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

    /// Changes an app, with all its processes.
    async fn change(
        &self,
        name: &str,
        change: Change,
        until: Option<fn(Phase) -> bool>,
    ) -> Result<Phase, CommandError> {
        let Some(processes) = self.group(name) else {
            return self.change_one(name, change, until).await;
        };
        let changes = processes.iter().map(|one| self.change_one(one.as_str(), change, until));
        let changes = join_all(changes).await;
        if matches!(change, Change::Signal { .. }) && changes.iter().any(Result::is_ok) {
            // A process that does not run gets no signal.
            return Ok(Phase::Ready);
        }
        changes
            .into_iter()
            .reduce(|one, other| Ok(worse(one?, other?)))
            .unwrap_or_else(|| Err(CommandError::Unknown(name.to_owned())))
    }

    async fn change_one(
        &self,
        name: &str,
        change: Change,
        until: Option<fn(Phase) -> bool>,
    ) -> Result<Phase, CommandError> {
        let unknown = || CommandError::Unknown(name.to_owned());
        let app = AppName::of_process(name).ok_or_else(unknown)?;
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

    async fn roll(
        &self,
        app: &str,
        processes: &[AppName],
        wait: bool,
    ) -> Result<Phase, CommandError> {
        let (reply, begun) = oneshot::channel();
        let (done, all_done) = oneshot::channel();
        let command = Command::Roll { app: app.to_owned(), reply, done };
        self.commands.send(command).map_err(|_| CommandError::Stopping)?;
        begun.await.map_err(|_| CommandError::Stopping)??;
        if wait {
            all_done.await.map_err(|_| CommandError::Stopping)?;
        }
        let phases = processes.iter().filter_map(|one| Some(*self.phase(one)?.borrow()));
        phases.reduce(worse).ok_or_else(|| CommandError::Unknown(app.to_owned()))
    }
}

/// The phase that an operator should know of two.
fn worse(one: Phase, other: Phase) -> Phase {
    let rank = |phase: Phase| match phase {
        Phase::Failed => 0,
        phase if !phase.is_ready() => 1,
        _ => 2,
    };
    if rank(other) < rank(one) { other } else { one }
}

fn stopped(phase: Phase) -> bool {
    phase != Phase::Stopping
}
