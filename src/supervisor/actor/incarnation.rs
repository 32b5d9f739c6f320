//! One run of an app's process, with all that belongs to it and ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Pid, fchown};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::config::{App, Notify, Probe, ProbeKind, Run};
use crate::supervisor::life::event::{Answer, Event, Generation};
use crate::supervisor::probe::ask::{FIRST_PAUSE, ask_on};
use crate::supervisor::probe::notify::ReadyListener;
use crate::supervisor::probe::question::{Outcome, Target, Tls};
use crate::supervisor::process::output::{Seen, carry};
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
            Incarnation { pid: None, probes: Vec::new(), heard: Words::default() };
        if let Some(run) = &which.app.run {
            incarnation.pid = Some(self.start_process(which, run, &mut incarnation.probes)?);
        }
        if let Some(ready) = &which.app.ready {
            let heard = incarnation.heard.clone();
            incarnation.probes.extend(self.ask(which, ready, FIRST_PAUSE, heard, Event::Ready));
        }
        Ok(incarnation)
    }

    /// Starts the `live` probe.
    pub(super) fn watch(&self, which: &Which, incarnation: &mut Incarnation) {
        if let Some(live) = &which.app.live {
            let heard = incarnation.heard.clone();
            // Never in haste: so many failures in a row are to take their time.
            incarnation.probes.extend(self.ask(which, live, live.interval, heard, Event::Live));
        }
    }

    fn ask(
        &self,
        which: &Which,
        probe: &Probe,
        first_pause: Duration,
        words: Words,
        event: fn(Generation, Answer) -> Event,
    ) -> Option<AbortOnDropHandle<()>> {
        if matches!(probe.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return None;
        }
        let (launcher, which, probe) = (self.clone(), which.clone(), probe.clone());
        let asking = async move {
            let (app, state_dir) = (&*which.app, &*launcher.state_dir);
            let target = Target { app, state_dir, reaper: &launcher.reaper, tls: launcher.tls };
            let tell = |outcome: Outcome| {
                if outcome.answer != Answer::Yes {
                    *words.lock().unwrap_or_else(PoisonError::into_inner) = outcome.words;
                }
                launcher.tell(&which, event(which.generation, outcome.answer));
            };
            ask_on(&probe, first_pause, &target, tell).await;
        };
        Some(AbortOnDropHandle::new(tokio::spawn(asking)))
    }

    fn start_process(
        &self,
        which: &Which,
        run: &Run,
        probes: &mut Vec<AbortOnDropHandle<()>>,
    ) -> Result<Pid, SpawnError> {
        let mut spec = Spec::of(&which.app, run, &self.state_dir)?;
        let ear = listen(which, &mut spec).map_err(SpawnError::Descriptors)?;
        let uid = spec.account.as_ref().map_or(nix::unistd::geteuid(), |account| account.uid);
        let outputs = Outputs::of(which, run, &spec).map_err(SpawnError::Descriptors)?;
        let process = spawn::spawn(&self.reaper, &spec, outputs.stdout, outputs.stderr)?;
        let pid = process.pid;
        tracing::info!(app = %which.app.name, pid = pid.as_raw(), "app started");
        let carriers =
            outputs.ours.into_iter().map(|(pipe, stream)| self.carry(which, pipe, stream));
        self.outputs.spawn(self.clone().see_it_end(which.clone(), process, carriers.collect()));
        if let Some(mut ear) = ear {
            let (launcher, which) = (self.clone(), which.clone());
            probes.push(AbortOnDropHandle::new(tokio::spawn(async move {
                ear.ready(uid.as_raw()).await;
                launcher.is_ready(&which);
                // It may go on talking, and is neither held up nor killed by that.
                loop {
                    ear.ready(uid.as_raw()).await;
                }
            })));
        }
        Ok(pid)
    }

    fn carry(&self, which: &Which, pipe: Receiver, stream: Stream) -> JoinHandle<()> {
        let mut log = self.log.child(&which.app.name).stream(stream);
        if which.app.run.as_ref().is_some_and(|run| !run.log) {
            log.discard();
        }
        self.outputs.spawn(carry(pipe, log, self.reads(which)))
    }

    /// Looks at lines for a `log` probe.
    fn reads(&self, which: &Which) -> Seen {
        let Some(ProbeKind::Log(pattern)) = which.app.ready.as_ref().map(|ready| &ready.kind)
        else {
            return Box::new(|_| {});
        };
        let (launcher, which, pattern) = (self.clone(), which.clone(), pattern.clone());
        let mut found = false;
        Box::new(move |line| {
            if !found && pattern.is_match(line) {
                found = true;
                launcher.is_ready(&which);
            }
        })
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

    fn is_ready(&self, which: &Which) {
        self.tell(which, Event::Ready(which.generation, Answer::Yes));
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
}

/// Our ear for an app that says by itself that it is ready, and in its environment where to.
fn listen(which: &Which, spec: &mut Spec<'_>) -> io::Result<Option<ReadyListener>> {
    let Some(ProbeKind::Notify(how)) = which.app.ready.as_ref().map(|ready| &ready.kind) else {
        return Ok(None);
    };
    let (ear, name, value) = match how {
        Notify::Fd => {
            let (ear, theirs) = ReadyListener::pipe()?;
            let number = spec.notify.insert(spawn::keep(theirs)).number;
            (ear, "NOTIFY_FD", number.to_string())
        }
        Notify::Systemd => {
            let (ear, address) = ReadyListener::socket()?;
            (ear, "NOTIFY_SOCKET", address)
        }
    };
    spec.environment.insert(name.into(), value.into());
    Ok(Some(ear))
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
