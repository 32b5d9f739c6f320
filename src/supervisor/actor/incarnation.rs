//! One incarnation of an app: its process, with the probes and output that belong to it.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::unistd::{Pid, Uid};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{log, readiness_report};
use crate::config::{App, AppName, Probe, ProbeKind};
use crate::supervisor::former_output::FormerOutput;
use crate::supervisor::life::event::{Answer, Event, Generation};
use crate::supervisor::port::own_listener::OwnListener;
use crate::supervisor::port::owner::Owner;
use crate::supervisor::port::{address, claim};
use crate::supervisor::probe::ask::{Pace, ask_repeatedly};
use crate::supervisor::probe::notifier::Notifier;
use crate::supervisor::probe::notify::ReadyListener;
use crate::supervisor::probe::question::{Outcome, Target};
use crate::supervisor::process::child::files::Files;
use crate::supervisor::process::child::outputs::Outputs;
use crate::supervisor::process::child::{self, Child};
use crate::supervisor::process::memory_kills::MemoryKills;
use crate::supervisor::process::output::forward;
use crate::supervisor::process::reaper::{Process, Reaper};
use crate::supervisor::process::spawn_error::SpawnError;
use crate::supervisor::process::spec::Spec;
use crate::supervisor::setup::{Locks, Tools, is_apart, is_due, set_up};
use crate::telemetry::{LogHandle, Stream};
use crate::threads::Turn;

/// How long an exit event waits for the end of the process's output.
const PROMPT: Duration = Duration::from_millis(15);
/// How long the log line about an exit waits for the output that comes before it.
const DRAIN: Duration = Duration::from_millis(200);

/// Starts incarnations and their probes.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    pub(super) state_dir: Arc<Path>,
    pub(super) reaper: Reaper,
    pub(super) log: LogHandle,
    /// The app that signs people in.
    pub(super) issuer: Option<AppName>,
    /// Number of the app, and what happened to it.
    pub(super) events: UnboundedSender<(u64, Event)>,
    pub(super) memory_kills: Arc<MemoryKills>,
    /// Steps of setups that create the same path run one at a time.
    pub(super) setups: Arc<Locks>,
    /// Tasks that forward output. A task outlives its incarnation while another process holds the
    /// pipe.
    pub(super) outputs: TaskTracker,
    /// Those of them whose incarnation has ended.
    pub(super) former_output: Arc<FormerOutput>,
}

/// A process and its probes. Dropping it stops the probes and a launch that has not come to its end,
/// not a process that runs.
#[derive(Debug, Default)]
pub(super) struct Incarnation {
    /// `None` for an app that runs elsewhere.
    launch: Option<AbortOnDropHandle<()>>,
    forked: Arc<OnceLock<Forked>>,
    probes: Vec<AbortOnDropHandle<()>>,
    last_failure: LastFailure,
}

/// What is known of a process from its fork on.
#[derive(Debug)]
struct Forked {
    pid: Pid,
    uid: Uid,
    /// Whose the listeners behind the app's addresses must be.
    owner: Arc<Owner>,
    /// The app has reported that it is ready.
    reported: Arc<Notify>,
    /// Where the app does so, until somebody listens.
    notifications: Mutex<Option<ReadyListener>>,
}

/// What a process is started with. Reading it takes as long as the files of the app want.
struct Prepared {
    child: Child,
    notifications: Option<ReadyListener>,
}

impl Prepared {
    fn of(app: &App, state_dir: &Path) -> Result<Self, SpawnError> {
        claim::check(&address::claimed(app))?;
        let run = app.run.as_ref().ok_or(SpawnError::Empty)?;
        let mut spec = Spec::of(app, run, state_dir)?;
        let notifications =
            readiness_report::listener(app, &mut spec).map_err(SpawnError::Descriptors)?;
        Ok(Self { child: child::prepare(spec)?, notifications })
    }
}

/// The last answer of a probe that was not a success, as text.
#[derive(Debug, Clone, Default)]
struct LastFailure(Arc<Mutex<String>>);

impl LastFailure {
    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason.into();
    }
}

/// The app and the incarnation that an event is about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) app: Arc<App>,
    /// Number of the app; another app never gets it.
    pub(super) id: u64,
    pub(super) generation: Generation,
    /// What the proxy asks about a new connection to the app.
    pub(super) listener: Arc<OwnListener>,
    /// The turn to read the files of the app.
    pub(super) files: Turn,
}

impl Launcher {
    /// Starts the process. What happens to it arrives as events, [`Event::Spawned`] or
    /// [`Event::NotSpawned`] first.
    pub(super) fn launch(&self, subject: &Subject) -> Incarnation {
        let mut incarnation = Incarnation::default();
        let (launcher, subject) = (self.clone(), subject.clone());
        let (forked, failure) = (incarnation.forked.clone(), incarnation.last_failure.clone());
        incarnation.launch = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let started = launcher.start(&subject, &forked, failure.clone()).await;
            let event = match started {
                Ok(()) => Event::Spawned(subject.generation),
                Err(error) => {
                    log::not_started(&subject.app, &error);
                    failure.set(error.to_string());
                    Event::NotSpawned(subject.generation, error.code())
                }
            };
            launcher.send(&subject, event);
        })));
        incarnation
    }

    /// Starts the `ready` probe, or waits for the report of the app.
    pub(super) fn start_ready_probe(&self, subject: &Subject, incarnation: &mut Incarnation) {
        incarnation.await_report(self, subject);
        if let Some(ready) = &subject.app.ready {
            let is_issuer = self.issuer.as_ref() == Some(&subject.app.name);
            let pace = if is_issuer { Pace::EAGER } else { Pace::START };
            incarnation.ask(self, subject, ready, pace, Event::Ready);
        }
    }

    /// Runs the first-time setup of an app. Its end arrives as an event.
    pub(super) fn set_up(&self, subject: Subject) -> AbortOnDropHandle<()> {
        let launcher = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let done = launcher.do_setup(&subject).await;
            launcher.send(&subject, Event::SetUpEnded(subject.generation, done));
        }))
    }

    /// Runs the first-time setup of a changed app beside its process, where it still has to run and no
    /// process can use what it makes.
    pub(super) fn set_up_apart(&self, subject: Subject) -> AbortOnDropHandle<()> {
        let launcher = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let done = launcher.do_setup_apart(&subject).await;
            launcher.send(&subject, Event::SuccessorSetUp(subject.generation, done));
        }))
    }

    async fn do_setup_apart(&self, subject: &Subject) -> bool {
        let (app, name) = (subject.app.clone(), &subject.app.name);
        match self.files(subject).look(move || is_due(&app) && is_apart(&app)).await {
            Ok(true) => {
                tracing::info!(app = %name, "the setup of the changed app runs, and the app serves meanwhile");
                self.do_setup(subject).await
            }
            // The setup comes after the end of the process.
            Ok(false) => true,
            Err(error) => {
                tracing::error!(app = %name, "{error}");
                false
            }
        }
    }

    async fn do_setup(&self, subject: &Subject) -> bool {
        let tools = Tools { reaper: &self.reaper, files: self.files(subject), log: &self.log };
        let done = set_up(&subject.app, &self.setups, &tools).await;
        if let Err(problem) = &done {
            tracing::error!(app = %subject.app.name, "{problem}");
        }
        done.is_ok()
    }

    fn files(&self, subject: &Subject) -> Files {
        Files::new(&self.reaper, &subject.files)
    }

    /// Starts the `live` probe.
    pub(super) fn start_live_probe(&self, subject: &Subject, incarnation: &mut Incarnation) {
        if let Some(live) = &subject.app.live {
            // At the full interval from the beginning: `failures` in a row must take their time.
            let pace = Pace { first: live.interval, ..Pace::START };
            incarnation.ask(self, subject, live, pace, Event::Live);
        }
    }

    /// Begins the probes anew, because their settings have changed. What the app reports itself
    /// (by a line or a notification) stays reported.
    pub(super) fn ask_again(
        &self,
        subject: &Subject,
        incarnation: &mut Incarnation,
        was_ready: bool,
    ) {
        let reports =
            subject.app.ready.as_ref().is_some_and(|ready| {
                matches!(ready.kind, ProbeKind::Log(_) | ProbeKind::Notify(_))
            });
        if reports {
            return;
        }
        incarnation.stop_probes();
        if let Some(ready) = &subject.app.ready {
            incarnation.ask(self, subject, ready, Pace::START, Event::Ready);
        }
        if was_ready {
            self.start_live_probe(subject, incarnation);
        }
    }

    /// Starts the process; returns when its program runs.
    async fn start(
        &self,
        subject: &Subject,
        slot: &OnceLock<Forked>,
        last_failure: LastFailure,
    ) -> Result<(), SpawnError> {
        let (app, state_dir) = (subject.app.clone(), self.state_dir.clone());
        let files = self.files(subject);
        let prepared = files.look(move || Prepared::of(&app, &state_dir)).await??;
        let spec = prepared.child.spec();
        let uid = spec.account.as_ref().map_or(nix::unistd::geteuid(), |account| account.uid);
        let outputs =
            Outputs::of(&self.reaper, &subject.app, spec).map_err(SpawnError::Descriptors)?;
        self.memory_kills.look();
        let child = prepared.child.fork(&self.reaper, outputs.stdout, outputs.stderr)?;
        let pid = child.process.pid;
        let owner = Arc::new(Owner::new(&subject.app, pid, uid.as_raw(), self.reaper.clone()));
        let reported = Arc::new(Notify::new());
        let notifications = prepared.notifications.into();
        let forked =
            Forked { pid, uid, owner: owner.clone(), reported: reported.clone(), notifications };
        // Set once: each incarnation is launched once.
        let _ = slot.set(forked);
        let process = child.running(&files).await?;
        tracing::info!(app = %subject.app.name, pid = pid.as_raw(), "app started");
        self.watch_connections(subject, owner, last_failure.clone());
        let forwarders = outputs
            .readers
            .into_iter()
            .map(|(pipe, stream)| self.forward_output(subject, pipe, stream, &reported));
        let forwarders = forwarders.collect();
        self.outputs.spawn(self.clone().report_exit(
            subject.clone(),
            process,
            forwarders,
            last_failure,
        ));
        Ok(())
    }

    /// A connection that reaches another program makes the app unready until its next probe. An app
    /// without a `ready` probe stays ready, because nothing would make it ready again.
    fn watch_connections(&self, subject: &Subject, owner: Arc<Owner>, last_failure: LastFailure) {
        // Without the subject, which holds the listener: the two would keep each other for ever.
        let (events, id, generation) = (self.events.clone(), subject.id, subject.generation);
        let is_asked = subject.app.ready.is_some();
        subject.listener.follow(owner, move |reason| {
            if is_asked {
                last_failure.set(reason);
                let _ = events.send((id, Event::Ready(generation, Answer::No)));
            }
        });
    }

    fn forward_output(
        &self,
        subject: &Subject,
        pipe: Receiver,
        stream: Stream,
        reported: &Arc<Notify>,
    ) -> JoinHandle<()> {
        let mut log = self.log.child(&subject.app.name).stream(stream);
        if subject.app.run.as_ref().is_some_and(|run| !run.log) {
            log.discard();
        }
        let observer = readiness_report::line_observer(&subject.app, reported);
        self.outputs.spawn(forward(pipe, log, observer))
    }

    /// Reports the exit: at once if the output has ended too, otherwise after a moment.
    async fn report_exit(
        self,
        subject: Subject,
        mut process: Process,
        mut forwarders: Vec<JoinHandle<()>>,
        last_failure: LastFailure,
    ) {
        let Ok(ended) = (&mut process.ended).await else { return };
        process.release();
        self.send(&subject, Event::LeaderEnded(subject.generation));
        let reason = self.memory_kills.cause(ended.exit).filter(|_| !ended.killed);
        if let Some(reason) = reason {
            last_failure.set(reason);
        }
        let exited = Event::Exited {
            generation: subject.generation,
            exit: ended.exit,
            survivors: ended.survivors,
        };
        let drained = async {
            for forwarder in &mut forwarders {
                let _ = forwarder.await;
            }
        };
        let mut drained = Box::pin(drained);
        let prompt = timeout(PROMPT, &mut drained).await.is_ok();
        let mut is_drained = prompt;
        if !prompt {
            self.send(&subject, exited);
            is_drained = timeout(DRAIN, &mut drained).await.is_ok();
        }
        drop(drained);
        if !is_drained {
            self.leave_output(&subject, forwarders);
        }
        let pid = process.pid.as_raw();
        tracing::info!(app = %subject.app.name, pid, exit = %ended.exit, reason, "app exited");
        if prompt {
            self.send(&subject, exited);
        }
        if ended.survivors && (&mut process.gone).await.is_ok() {
            self.send(&subject, Event::Gone(subject.generation));
        }
    }

    /// Goes on reading the output of a run that has ended, within limits.
    fn leave_output(&self, subject: &Subject, forwarders: Vec<JoinHandle<()>>) {
        let given_up = self.former_output.keep(subject.id, forwarders);
        if given_up > 0 {
            tracing::warn!(
                app = %subject.app.name,
                given_up,
                "the output of a former run is no longer read: too many processes of former runs hold their output"
            );
        }
    }

    fn send(&self, subject: &Subject, event: Event) {
        let _ = self.events.send((subject.id, event));
    }
}

impl Incarnation {
    /// The process; `None` before its fork, and for an app that runs elsewhere.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.forked.get().map(|forked| forked.pid)
    }

    /// Whether the app runs elsewhere.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.launch.is_none()
    }

    /// The last answer of a probe that was not a success, as text.
    pub(super) fn last_failure(&self) -> String {
        self.last_failure.get()
    }

    /// Stops the probes.
    pub(super) fn stop_probes(&mut self) {
        self.probes.clear();
    }

    fn keep(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.probes.push(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    fn ask(
        &mut self,
        launcher: &Launcher,
        subject: &Subject,
        probe: &Probe,
        pace: Pace,
        event: fn(Generation, Answer) -> Event,
    ) {
        if matches!(probe.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return;
        }
        let (launcher, subject, probe) = (launcher.clone(), subject.clone(), probe.clone());
        let owner = self.forked.get().map(|forked| forked.owner.clone());
        let last_failure = self.last_failure.clone();
        self.keep(async move {
            let target = Target {
                app: subject.app.clone(),
                state_dir: launcher.state_dir.clone(),
                reaper: &launcher.reaper,
                files: launcher.files(&subject),
                owner: owner.clone(),
            };
            let report = |outcome: Outcome| {
                if outcome.answer != Answer::Yes {
                    last_failure.set(outcome.detail);
                }
                launcher.send(&subject, event(subject.generation, outcome.answer));
            };
            ask_repeatedly(&probe, pace, &target, report).await;
        });
    }

    /// Waits until an app reports its readiness itself. From then on the app is ready while the
    /// listener behind its address belongs to it.
    fn await_report(&mut self, launcher: &Launcher, subject: &Subject) {
        let Some(ready) = subject.app.ready.clone() else { return };
        if !matches!(ready.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return;
        }
        let Some(forked) = self.forked.get() else { return };
        let (uid, owner, reported) = (forked.uid, forked.owner.clone(), forked.reported.clone());
        let listener = forked.notifications.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            let (app, reaper) = (subject.app.name.clone(), launcher.reaper.clone());
            let notifier = Notifier { app, uid: uid.as_raw(), leader: forked.pid, reaper };
            self.keep(readiness_report::pass_on(listener, notifier, reported.clone()));
        }
        let (launcher, subject) = (launcher.clone(), subject.clone());
        let last_failure = self.last_failure.clone();
        self.keep(async move {
            let send = |answer| launcher.send(&subject, Event::Ready(subject.generation, answer));
            reported.notified().await;
            loop {
                let looking = owner.clone();
                let pause = match launcher.reaper.aside(move || looking.check()).await {
                    Ok(()) => {
                        send(Answer::Yes);
                        ready.interval
                    }
                    Err(reason) => {
                        last_failure.set(reason);
                        send(Answer::No);
                        Pace::START.first
                    }
                };
                if !owner.has_addresses() {
                    return;
                }
                sleep(pause).await;
            }
        });
    }
}
