//! One incarnation of an app: its process, with the probes and output that belong to it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Pid, fchown};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::readiness_report;
use crate::config::{App, AppName, Probe, ProbeKind, Run};
use crate::supervisor::life::event::{Answer, Event, Generation};
use crate::supervisor::port::own_listener::OwnListener;
use crate::supervisor::port::owner::Owner;
use crate::supervisor::port::{address, claim};
use crate::supervisor::probe::ask::{Pace, ask_repeatedly};
use crate::supervisor::probe::question::{Outcome, Target, Tls};
use crate::supervisor::process::memory_kills::MemoryKills;
use crate::supervisor::process::output::forward;
use crate::supervisor::process::reaper::{Process, Reaper};
use crate::supervisor::process::spawn;
use crate::supervisor::process::spawn_error::SpawnError;
use crate::supervisor::process::spec::Spec;
use crate::supervisor::setup::{Locks, set_up};
use crate::telemetry::{LogHandle, Stream};

/// How long an exit event waits for the end of the process's output.
const PROMPT: Duration = Duration::from_millis(15);
/// Every user may write to the output of an app; only the app's user may read it.
const PIPE_MODE: Mode = Mode::from_bits_truncate(0o622);
/// How long the log line about an exit waits for the output that comes before it.
const DRAIN: Duration = Duration::from_millis(200);

/// Starts incarnations and their probes.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    pub(super) state_dir: Arc<Path>,
    pub(super) reaper: Reaper,
    pub(super) log: LogHandle,
    pub(super) tls: Tls,
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
}

/// A running process and its probes. Dropping it stops the probes, not the process.
#[derive(Debug)]
pub(super) struct Incarnation {
    /// `None` for an app that runs elsewhere.
    pub(super) pid: Option<Pid>,
    /// Whose the listeners behind the app's addresses must be.
    owner: Option<Arc<Owner>>,
    probes: Vec<AbortOnDropHandle<()>>,
    last_failure: LastFailure,
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
}

impl Launcher {
    /// Starts the process and its `ready` probe. What happens to them arrives as events.
    pub(super) fn start(&self, subject: &Subject) -> Result<Incarnation, SpawnError> {
        let mut incarnation = Incarnation {
            pid: None,
            owner: None,
            probes: Vec::new(),
            last_failure: LastFailure::default(),
        };
        if let Some(run) = &subject.app.run {
            claim::check(&address::claimed(&subject.app))?;
            self.start_process(subject, run, &mut incarnation)?;
        }
        if let Some(ready) = &subject.app.ready {
            let is_issuer = self.issuer.as_ref() == Some(&subject.app.name);
            let pace = if is_issuer { Pace::EAGER } else { Pace::START };
            incarnation.ask(self, subject, ready, pace, Event::Ready);
        }
        Ok(incarnation)
    }

    /// Runs the first-time setup of an app. Its end arrives as an event.
    pub(super) fn set_up(
        &self,
        subject: Subject,
        ended: fn(Generation, bool) -> Event,
    ) -> AbortOnDropHandle<()> {
        let launcher = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let done =
                set_up(&subject.app, &launcher.setups, &launcher.reaper, &launcher.log).await;
            if let Err(problem) = &done {
                tracing::error!(app = %subject.app.name, "{problem}");
            }
            launcher.send(&subject, ended(subject.generation, done.is_ok()));
        }))
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

    fn start_process(
        &self,
        subject: &Subject,
        run: &Run,
        incarnation: &mut Incarnation,
    ) -> Result<(), SpawnError> {
        let mut spec = Spec::of(&subject.app, run, &self.state_dir)?;
        let listener =
            readiness_report::listener(&subject.app, &mut spec).map_err(SpawnError::Descriptors)?;
        let uid = spec.account.as_ref().map_or(nix::unistd::geteuid(), |account| account.uid);
        let outputs =
            Outputs::of(&self.reaper, subject, run, &spec).map_err(SpawnError::Descriptors)?;
        self.memory_kills.look();
        let process = spawn::spawn(&self.reaper, &spec, outputs.stdout, outputs.stderr)?;
        let pid = process.pid;
        tracing::info!(app = %subject.app.name, pid = pid.as_raw(), "app started");
        let owner = Owner::new(&subject.app, pid, uid.as_raw(), self.reaper.clone());
        let owner = Arc::new(owner);
        self.watch_connections(subject, owner.clone(), incarnation.last_failure.clone());
        incarnation.pid = Some(pid);
        incarnation.owner = Some(owner);
        let reported = Arc::new(Notify::new());
        let forwarders = outputs
            .readers
            .into_iter()
            .map(|(pipe, stream)| self.forward_output(subject, pipe, stream, &reported));
        self.outputs.spawn(self.clone().report_exit(
            subject.clone(),
            process,
            forwarders.collect(),
            incarnation.last_failure.clone(),
        ));
        if let Some(listener) = listener {
            let reported = reported.clone();
            incarnation.keep(readiness_report::pass_on(listener, uid.as_raw(), reported));
        }
        incarnation.confirm_report(self, subject, reported);
        Ok(())
    }

    /// A connection that reaches another program makes the app unready until its next probe. An app
    /// without a `ready` probe stays ready, because nothing would make it ready again.
    fn watch_connections(&self, subject: &Subject, owner: Arc<Owner>, last_failure: LastFailure) {
        let (launcher, listener) = (self.clone(), subject.listener.clone());
        let subject = subject.clone();
        listener.follow(owner, move |reason| {
            if subject.app.ready.is_some() {
                last_failure.set(reason);
                launcher.send(&subject, Event::Ready(subject.generation, Answer::No));
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
        let mut drained = std::pin::pin!(drained);
        let prompt = timeout(PROMPT, &mut drained).await.is_ok();
        if !prompt {
            self.send(&subject, exited);
            let _ = timeout(DRAIN, &mut drained).await;
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

    fn send(&self, subject: &Subject, event: Event) {
        let _ = self.events.send((subject.id, event));
    }
}

impl Incarnation {
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
        let (owner, last_failure) = (self.owner.clone(), self.last_failure.clone());
        self.keep(async move {
            let target = Target {
                app: &subject.app,
                state_dir: &launcher.state_dir,
                reaper: &launcher.reaper,
                tls: launcher.tls,
                owner: owner.as_deref(),
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
    fn confirm_report(&mut self, launcher: &Launcher, subject: &Subject, reported: Arc<Notify>) {
        let Some(ready) = subject.app.ready.clone() else { return };
        let Some(owner) = self.owner.clone() else { return };
        if !matches!(ready.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return;
        }
        let (launcher, subject) = (launcher.clone(), subject.clone());
        let last_failure = self.last_failure.clone();
        self.keep(async move {
            let send = |answer| launcher.send(&subject, Event::Ready(subject.generation, answer));
            reported.notified().await;
            loop {
                let pause = match owner.check() {
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

/// Where stdout and stderr of the process go, and the ends of the pipes that the appliance reads.
struct Outputs {
    stdout: Stdio,
    stderr: Stdio,
    readers: Vec<(Receiver, Stream)>,
}

impl Outputs {
    fn of(reaper: &Reaper, subject: &Subject, run: &Run, spec: &Spec<'_>) -> io::Result<Self> {
        let ready = subject.app.ready.as_ref();
        if !run.log && !ready.is_some_and(|ready| matches!(ready.kind, ProbeKind::Log(_))) {
            return Ok(Self { stdout: Stdio::null(), stderr: Stdio::null(), readers: Vec::new() });
        }
        let (out, stdout) = pipe(reaper, spec)?;
        let (err, stderr) = pipe(reaper, spec)?;
        let readers = vec![(out, Stream::Stdout), (err, Stream::Stderr)];
        Ok(Self { stdout: stdout.into(), stderr: stderr.into(), readers })
    }
}

/// A pipe that the app may open by path (`/dev/stdout`), also after it has changed its user by
/// itself: only processes that hold the pipe have a path to it. A socket cannot be opened by path at
/// all.
fn pipe(reaper: &Reaper, spec: &Spec<'_>) -> io::Result<(Receiver, OwnedFd)> {
    let (receiver, writer) = reaper.pipe()?;
    if let Some(account) = &spec.account {
        fchown(&writer, Some(account.uid), Some(account.gid))?;
    }
    fchmod(&writer, PIPE_MODE)?;
    Ok((Receiver::from_owned_fd(receiver.into())?, writer.into()))
}
