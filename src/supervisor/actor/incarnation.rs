//! One run of an app's process, with all that belongs to it and ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Pid, fchown};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::self_report;
use crate::config::{App, AppName, Probe, ProbeKind, Run};
use crate::supervisor::life::event::{Answer, Event, Generation};
use crate::supervisor::port::owner::Owner;
use crate::supervisor::port::{address, claim};
use crate::supervisor::probe::ask::{Pace, ask_on};
use crate::supervisor::probe::question::{Outcome, Target, Tls};
use crate::supervisor::process::output::carry;
use crate::supervisor::process::reaper::{Process, Reaper};
use crate::supervisor::process::spawn;
use crate::supervisor::process::spawn_error::SpawnError;
use crate::supervisor::process::spec::Spec;
use crate::telemetry::{LogHandle, Stream};

/// An exit is told that soon, even if its output has not ended.
const PROMPT: Duration = Duration::from_millis(15);
/// Its line in the log waits that long for the output before it.
const DRAIN: Duration = Duration::from_millis(200);

/// What every incarnation needs.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    pub(super) state_dir: Arc<Path>,
    pub(super) reaper: Reaper,
    pub(super) log: LogHandle,
    pub(super) tls: Tls,
    /// The app that people wait for before they can sign in.
    pub(super) issuer: Option<AppName>,
    /// Place of the app in the list, and what happened to it.
    pub(super) events: UnboundedSender<(usize, Event)>,
    /// Tasks that carry output; they outlive their incarnation while somebody holds its pipe.
    pub(super) outputs: TaskTracker,
}

/// A running process and its probes. Dropping it ends the probes, not the process.
#[derive(Debug)]
pub(super) struct Incarnation {
    /// `None` for an app that runs elsewhere.
    pub(super) pid: Option<Pid>,
    /// Whose its listeners have to be.
    owner: Option<Arc<Owner>>,
    probes: Vec<AbortOnDropHandle<()>>,
    heard: Words,
}

/// What a probe heard last that was no yes.
type Words = Arc<Mutex<String>>;

/// Which app this is about, and which run of it.
#[derive(Debug, Clone)]
pub(super) struct Which {
    pub(super) app: Arc<App>,
    pub(super) place: usize,
    pub(super) generation: Generation,
}

impl Launcher {
    /// Starts the process and its `ready` probe. Whatever happens to them comes as an event.
    pub(super) fn start(&self, which: &Which) -> Result<Incarnation, SpawnError> {
        let mut incarnation =
            Incarnation { pid: None, owner: None, probes: Vec::new(), heard: Words::default() };
        if let Some(run) = &which.app.run {
            claim::check(&address::claimed(&which.app))?;
            self.start_process(which, run, &mut incarnation)?;
        }
        if let Some(ready) = &which.app.ready {
            let is_issuer = self.issuer.as_ref() == Some(&which.app.name);
            let pace = if is_issuer { Pace::EAGER } else { Pace::START };
            incarnation.ask(self, which, ready, pace, Event::Ready);
        }
        Ok(incarnation)
    }

    /// Starts the `live` probe.
    pub(super) fn watch(&self, which: &Which, incarnation: &mut Incarnation) {
        if let Some(live) = &which.app.live {
            // Never in haste: so many failures in a row are to take their time.
            let pace = Pace { first: live.interval, ..Pace::START };
            incarnation.ask(self, which, live, pace, Event::Live);
        }
    }

    fn start_process(
        &self,
        which: &Which,
        run: &Run,
        incarnation: &mut Incarnation,
    ) -> Result<(), SpawnError> {
        let mut spec = Spec::of(&which.app, run, &self.state_dir)?;
        let ear = self_report::listen(&which.app, &mut spec).map_err(SpawnError::Descriptors)?;
        let uid = spec.account.as_ref().map_or(nix::unistd::geteuid(), |account| account.uid);
        let outputs = Outputs::of(which, run, &spec).map_err(SpawnError::Descriptors)?;
        let process = spawn::spawn(&self.reaper, &spec, outputs.stdout, outputs.stderr)?;
        let pid = process.pid;
        tracing::info!(app = %which.app.name, pid = pid.as_raw(), "app started");
        let owner = Owner::new(&which.app, pid, uid.as_raw(), self.reaper.clone());
        incarnation.pid = Some(pid);
        incarnation.owner = Some(Arc::new(owner));
        let said = Arc::new(Notify::new());
        let carriers =
            outputs.ours.into_iter().map(|(pipe, stream)| self.carry(which, pipe, stream, &said));
        self.outputs.spawn(self.clone().see_it_end(which.clone(), process, carriers.collect()));
        if let Some(ear) = ear {
            incarnation.keep(self_report::hear(ear, uid.as_raw(), said.clone()));
        }
        incarnation.vouch(self, which, said);
        Ok(())
    }

    fn carry(
        &self,
        which: &Which,
        pipe: Receiver,
        stream: Stream,
        said: &Arc<Notify>,
    ) -> JoinHandle<()> {
        let mut log = self.log.child(&which.app.name).stream(stream);
        if which.app.run.as_ref().is_some_and(|run| !run.log) {
            log.discard();
        }
        self.outputs.spawn(carry(pipe, log, self_report::reads(&which.app, said)))
    }

    /// Tells its end: at once when its output has ended too, else after a moment.
    async fn see_it_end(
        self,
        which: Which,
        mut process: Process,
        mut carriers: Vec<JoinHandle<()>>,
    ) {
        let Ok(ended) = (&mut process.ended).await else { return };
        process.release();
        self.tell(&which, Event::LeaderEnded(which.generation));
        let exited = Event::Exited {
            generation: which.generation,
            exit: ended.exit,
            survivors: ended.survivors,
        };
        let drained = async {
            for carrier in &mut carriers {
                let _ = carrier.await;
            }
        };
        let mut drained = std::pin::pin!(drained);
        let prompt = timeout(PROMPT, &mut drained).await.is_ok();
        if !prompt {
            self.tell(&which, exited);
            let _ = timeout(DRAIN, &mut drained).await;
        }
        let pid = process.pid.as_raw();
        tracing::info!(app = %which.app.name, pid, exit = %ended.exit, "app exited");
        if prompt {
            self.tell(&which, exited);
        }
        if ended.survivors && (&mut process.gone).await.is_ok() {
            self.tell(&which, Event::Gone(which.generation));
        }
    }

    fn tell(&self, which: &Which, event: Event) {
        let _ = self.events.send((which.place, event));
    }
}

impl Incarnation {
    /// What a probe of it heard last that was no yes.
    pub(super) fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends its probes.
    pub(super) fn quiet(&mut self) {
        self.probes.clear();
    }

    fn keep(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.probes.push(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// Asks a probe's question on and on.
    fn ask(
        &mut self,
        launcher: &Launcher,
        which: &Which,
        probe: &Probe,
        pace: Pace,
        event: fn(Generation, Answer) -> Event,
    ) {
        if matches!(probe.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return;
        }
        let (launcher, which, probe) = (launcher.clone(), which.clone(), probe.clone());
        let (owner, words) = (self.owner.clone(), self.heard.clone());
        self.keep(async move {
            let target = Target {
                app: &which.app,
                state_dir: &launcher.state_dir,
                reaper: &launcher.reaper,
                tls: launcher.tls,
                owner: owner.as_deref(),
            };
            let tell = |outcome: Outcome| {
                if outcome.answer != Answer::Yes {
                    *words.lock().unwrap_or_else(PoisonError::into_inner) = outcome.words;
                }
                launcher.tell(&which, event(which.generation, outcome.answer));
            };
            ask_on(&probe, pace, &target, tell).await;
        });
    }

    /// Tells that an app is ready that says so by itself, as long as its listener is its own.
    fn vouch(&mut self, launcher: &Launcher, which: &Which, said: Arc<Notify>) {
        let Some(ready) = which.app.ready.clone() else { return };
        let Some(owner) = self.owner.clone() else { return };
        if !matches!(ready.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return;
        }
        let (launcher, which, words) = (launcher.clone(), which.clone(), self.heard.clone());
        self.keep(async move {
            let tell = |answer| launcher.tell(&which, Event::Ready(which.generation, answer));
            said.notified().await;
            loop {
                let pause = match owner.check() {
                    Ok(()) => {
                        tell(Answer::Yes);
                        ready.interval
                    }
                    Err(why) => {
                        *words.lock().unwrap_or_else(PoisonError::into_inner) = why;
                        tell(Answer::No);
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

/// Where stdout and stderr go, and our ends of them.
struct Outputs {
    stdout: Stdio,
    stderr: Stdio,
    ours: Vec<(Receiver, Stream)>,
}

impl Outputs {
    fn of(which: &Which, run: &Run, spec: &Spec<'_>) -> io::Result<Self> {
        let ready = which.app.ready.as_ref();
        if !run.log && !ready.is_some_and(|ready| matches!(ready.kind, ProbeKind::Log(_))) {
            return Ok(Self { stdout: Stdio::null(), stderr: Stdio::null(), ours: Vec::new() });
        }
        let (out, stdout) = pipe(spec)?;
        let (err, stderr) = pipe(spec)?;
        let ours = vec![(out, Stream::Stdout), (err, Stream::Stderr)];
        Ok(Self { stdout: stdout.into(), stderr: stderr.into(), ours })
    }
}

/// A pipe that the child's user may open by its path (`/dev/stdout`): made by root, it would be
/// root's alone. A socket could not be opened by path at all.
fn pipe(spec: &Spec<'_>) -> io::Result<(Receiver, OwnedFd)> {
    let (ours, theirs) = io::pipe()?;
    if let Some(account) = &spec.account {
        fchown(&theirs, Some(account.uid), Some(account.gid))?;
    }
    Ok((Receiver::from_owned_fd(ours.into())?, theirs.into()))
}
