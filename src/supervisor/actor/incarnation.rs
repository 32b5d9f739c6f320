//! One incarnation of an app: its process, with the probes and output that belong to it.

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
use crate::supervisor::probe::ask::{FIRST_PAUSE, ask_repeatedly};
use crate::supervisor::probe::notify::ReadyListener;
use crate::supervisor::probe::question::{Outcome, Target, Tls};
use crate::supervisor::process::output::{LineObserver, forward};
use crate::supervisor::process::reaper::{Process, Reaper};
use crate::supervisor::process::spawn;
use crate::supervisor::process::spawn_error::SpawnError;
use crate::supervisor::process::spec::Spec;
use crate::telemetry::{LogHandle, Stream};

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
    pub(super) tls: Tls,
    /// Index of the app in the list, and what happened to it.
    pub(super) events: UnboundedSender<(usize, Event)>,
    /// Tasks that forward output. A task outlives its incarnation while another process holds the
    /// pipe.
    pub(super) outputs: TaskTracker,
}

/// A running process and its probes. Dropping it stops the probes, not the process.
#[derive(Debug)]
pub(super) struct Incarnation {
    /// `None` for an app that runs elsewhere.
    pub(super) pid: Option<Pid>,
    probes: Vec<AbortOnDropHandle<()>>,
    last_failure: LastFailure,
}

/// The last answer of a probe that was not a success, as text.
type LastFailure = Arc<Mutex<String>>;

/// The app and the incarnation that an event is about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) app: Arc<App>,
    pub(super) index: usize,
    pub(super) generation: Generation,
}

impl Launcher {
    /// Starts the process and its `ready` probe. What happens to them arrives as events.
    pub(super) fn start(&self, subject: &Subject) -> Result<Incarnation, SpawnError> {
        let mut incarnation =
            Incarnation { pid: None, probes: Vec::new(), last_failure: LastFailure::default() };
        if let Some(run) = &subject.app.run {
            incarnation.pid = Some(self.start_process(subject, run, &mut incarnation.probes)?);
        }
        if let Some(ready) = &subject.app.ready {
            let last_failure = incarnation.last_failure.clone();
            incarnation.probes.extend(self.ask(
                subject,
                ready,
                FIRST_PAUSE,
                last_failure,
                Event::Ready,
            ));
        }
        Ok(incarnation)
    }

    /// Starts the `live` probe.
    pub(super) fn start_live_probe(&self, subject: &Subject, incarnation: &mut Incarnation) {
        if let Some(live) = &subject.app.live {
            let last_failure = incarnation.last_failure.clone();
            // At the full interval from the beginning: `failures` in a row must take their time.
            incarnation.probes.extend(self.ask(
                subject,
                live,
                live.interval,
                last_failure,
                Event::Live,
            ));
        }
    }

    fn ask(
        &self,
        subject: &Subject,
        probe: &Probe,
        first_pause: Duration,
        last_failure: LastFailure,
        event: fn(Generation, Answer) -> Event,
    ) -> Option<AbortOnDropHandle<()>> {
        if matches!(probe.kind, ProbeKind::Log(_) | ProbeKind::Notify(_)) {
            return None;
        }
        let (launcher, subject, probe) = (self.clone(), subject.clone(), probe.clone());
        let asking = async move {
            let (app, state_dir) = (&*subject.app, &*launcher.state_dir);
            let target = Target { app, state_dir, reaper: &launcher.reaper, tls: launcher.tls };
            let report = |outcome: Outcome| {
                if outcome.answer != Answer::Yes {
                    *last_failure.lock().unwrap_or_else(PoisonError::into_inner) = outcome.detail;
                }
                launcher.send(&subject, event(subject.generation, outcome.answer));
            };
            ask_repeatedly(&probe, first_pause, &target, report).await;
        };
        Some(AbortOnDropHandle::new(tokio::spawn(asking)))
    }

    fn start_process(
        &self,
        subject: &Subject,
        run: &Run,
        probes: &mut Vec<AbortOnDropHandle<()>>,
    ) -> Result<Pid, SpawnError> {
        let mut spec = Spec::of(&subject.app, run, &self.state_dir)?;
        let listener = ready_listener(subject, &mut spec).map_err(SpawnError::Descriptors)?;
        let uid = spec.account.as_ref().map_or(nix::unistd::geteuid(), |account| account.uid);
        let outputs = Outputs::of(subject, run, &spec).map_err(SpawnError::Descriptors)?;
        let process = spawn::spawn(&self.reaper, &spec, outputs.stdout, outputs.stderr)?;
        let pid = process.pid;
        tracing::info!(app = %subject.app.name, pid = pid.as_raw(), "app started");
        let forwarders = outputs
            .readers
            .into_iter()
            .map(|(pipe, stream)| self.forward_output(subject, pipe, stream));
        self.outputs.spawn(self.clone().report_exit(
            subject.clone(),
            process,
            forwarders.collect(),
        ));
        if let Some(mut listener) = listener {
            let (launcher, subject) = (self.clone(), subject.clone());
            probes.push(AbortOnDropHandle::new(tokio::spawn(async move {
                listener.ready(uid.as_raw()).await;
                launcher.report_ready(&subject);
                // Read on: an app that keeps writing must not block, and must not get SIGPIPE.
                loop {
                    listener.ready(uid.as_raw()).await;
                }
            })));
        }
        Ok(pid)
    }

    fn forward_output(&self, subject: &Subject, pipe: Receiver, stream: Stream) -> JoinHandle<()> {
        let mut log = self.log.child(&subject.app.name).stream(stream);
        if subject.app.run.as_ref().is_some_and(|run| !run.log) {
            log.discard();
        }
        self.outputs.spawn(forward(pipe, log, self.line_observer(subject)))
    }

    /// Compares each line with the pattern of a `log` probe.
    fn line_observer(&self, subject: &Subject) -> LineObserver {
        let Some(ProbeKind::Log(pattern)) = subject.app.ready.as_ref().map(|ready| &ready.kind)
        else {
            return Box::new(|_| {});
        };
        let (launcher, subject, pattern) = (self.clone(), subject.clone(), pattern.clone());
        let mut found = false;
        Box::new(move |line| {
            if !found && pattern.is_match(line) {
                found = true;
                launcher.report_ready(&subject);
            }
        })
    }

    /// Reports the exit: at once if the output has ended too, otherwise after a moment.
    async fn report_exit(
        self,
        subject: Subject,
        mut process: Process,
        mut forwarders: Vec<JoinHandle<()>>,
    ) {
        let Ok(ended) = (&mut process.ended).await else { return };
        process.release();
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
        tracing::info!(app = %subject.app.name, pid, exit = %ended.exit, "app exited");
        if prompt {
            self.send(&subject, exited);
        }
        if ended.survivors && (&mut process.gone).await.is_ok() {
            self.send(&subject, Event::Gone(subject.generation));
        }
    }

    fn report_ready(&self, subject: &Subject) {
        self.send(subject, Event::Ready(subject.generation, Answer::Yes));
    }

    fn send(&self, subject: &Subject, event: Event) {
        let _ = self.events.send((subject.index, event));
    }
}

impl Incarnation {
    /// The last answer of a probe that was not a success, as text.
    pub(super) fn last_failure(&self) -> String {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the probes.
    pub(super) fn stop_probes(&mut self) {
        self.probes.clear();
    }
}

/// The listener for an app that notifies the appliance when it is ready, and the variable that
/// tells the app where to write.
fn ready_listener(subject: &Subject, spec: &mut Spec<'_>) -> io::Result<Option<ReadyListener>> {
    let Some(ProbeKind::Notify(how)) = subject.app.ready.as_ref().map(|ready| &ready.kind) else {
        return Ok(None);
    };
    let (listener, name, value) = match how {
        Notify::Fd => {
            let (listener, writer) = ReadyListener::pipe()?;
            let number = spec.notify.insert(spawn::inherit(writer)).number;
            (listener, "NOTIFY_FD", number.to_string())
        }
        Notify::Systemd => {
            let (listener, address) = ReadyListener::socket()?;
            (listener, "NOTIFY_SOCKET", address)
        }
    };
    spec.environment.insert(name.into(), value.into());
    Ok(Some(listener))
}

/// Where stdout and stderr of the process go, and the ends of the pipes that the appliance reads.
struct Outputs {
    stdout: Stdio,
    stderr: Stdio,
    readers: Vec<(Receiver, Stream)>,
}

impl Outputs {
    fn of(subject: &Subject, run: &Run, spec: &Spec<'_>) -> io::Result<Self> {
        let ready = subject.app.ready.as_ref();
        if !run.log && !ready.is_some_and(|ready| matches!(ready.kind, ProbeKind::Log(_))) {
            return Ok(Self { stdout: Stdio::null(), stderr: Stdio::null(), readers: Vec::new() });
        }
        let (out, stdout) = pipe(spec)?;
        let (err, stderr) = pipe(spec)?;
        let readers = vec![(out, Stream::Stdout), (err, Stream::Stderr)];
        Ok(Self { stdout: stdout.into(), stderr: stderr.into(), readers })
    }
}

/// A pipe that the app's user may open by path (`/dev/stdout`). A pipe made by root would belong to
/// root alone, and a socket cannot be opened by path at all.
fn pipe(spec: &Spec<'_>) -> io::Result<(Receiver, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    if let Some(account) = &spec.account {
        fchown(&writer, Some(account.uid), Some(account.gid))?;
    }
    Ok((Receiver::from_owned_fd(reader.into())?, writer.into()))
}
