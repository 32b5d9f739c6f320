//! The server of the control socket.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::client::NOT_PERMITTED;
use super::people::People;
use super::protocol::{Answer, AppState, IssuerStatus, LastExit, Request, Status};
use super::reload::{self, ReloadRequest};
use super::{sessions, timeline};
use crate::administration::Administration;
use crate::auth::{Auth, IssuerState};
use crate::config::{App, Config, Phase};
use crate::supervisor::{AppStatus, CommandError, Descent, Exit, Handle, Peer, Usage};
use crate::telemetry::{APPLIANCE, LogHandle, Selection, Throttle, rfc3339};
use crate::threads::Turn;

/// Longest request in bytes; a valid request is shorter.
const LONGEST_REQUEST: u64 = 4096;
/// How long `status` waits for the file of the configuration.
const LONGEST_READ: Duration = Duration::from_secs(1);
/// How long a refused client may take to send its request, and then to read the answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How many refused clients may send their requests and read their answers at the same time.
const MOST_REFUSED: usize = 16;

/// What the server needs to answer requests.
#[derive(Debug)]
pub struct Overview {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where reloads are requested.
    pub reloads: mpsc::UnboundedSender<ReloadRequest>,
    /// The supervisor of the apps.
    pub supervisor: Handle,
    /// How many people use each app.
    pub people: People,
    /// The sessions of people; `None` if no app needs a login.
    pub auth: Option<watch::Receiver<Arc<Auth>>>,
    /// State of the issuer; `None` if no app needs one.
    pub issuer: Option<watch::Receiver<IssuerState>>,
    /// Makes links for administrators.
    pub(crate) administration: Arc<Administration>,
    /// Becomes true when the appliance begins to stop.
    pub stopping: watch::Receiver<bool>,
    /// The log, for `logs`.
    pub log: LogHandle,
    /// To read the file of the configuration for `status`.
    pub(crate) reading: Turn,
}

/// The bound socket. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    refusals: Arc<Refusals>,
}

/// The clients that are refused.
#[derive(Debug)]
struct Refusals {
    told: Throttle,
    /// One permit for each further client that may get an answer.
    places: Semaphore,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { told: Throttle::default(), places: Semaphore::new(MOST_REFUSED) }
    }
}

impl Server {
    /// Binds `path` with mode 0600. Replaces a socket file of an earlier run: the caller holds the
    /// lock of the state folder.
    pub fn bind(path: &Path) -> std::io::Result<Self> {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned(), refusals: Arc::default() })
    }

    /// Answers requests until it is dropped.
    pub async fn serve(self, overview: Arc<Overview>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (overview, refusals) = (Arc::clone(&overview), Arc::clone(&self.refusals));
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &overview, &refusals).await {
                            debug!(%error, "control connection ended early");
                        }
                    });
                }
                // Usually out of descriptors: wait for some to be closed instead of retrying at
                // once.
                Err(error) => {
                    warn!(%error, "the control socket cannot accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(
    mut stream: UnixStream,
    overview: &Overview,
    refusals: &Refusals,
) -> std::io::Result<()> {
    let refusal = refusal(&stream, stream.peer_cred()?, overview, &refusals.told);
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST_REQUEST));
    if let Some(reason) = refusal {
        // Apps may ask as often as they like, and each connection takes a descriptor.
        let Ok(_place) = refusals.places.try_acquire() else { return Ok(()) };
        // The request is read first, and the client closes first: otherwise the client would get
        // a reset instead of the answer.
        let _ = timeout(REFUSAL_TIMEOUT, read.read_line(&mut line)).await;
        say(&mut write, &done(NOT_PERMITTED, Some(reason.into()))).await?;
        let _ = timeout(REFUSAL_TIMEOUT, read.read_to_string(&mut line)).await;
        return Ok(());
    }
    read.read_line(&mut line).await?;
    let Ok(request) = serde_json::from_str::<Request>(&line) else {
        return say(&mut write, &done(2, Some("invalid request".into()))).await;
    };
    match request {
        Request::Status => {
            say(&mut write, &Answer::Status(overview.status().await)).await?;
            say(&mut write, &done(0, None)).await
        }
        Request::Logs { name, access, follow, lines } => {
            let mut gone = [0_u8; 1];
            tokio::select! {
                sent = logs(&mut write, overview, name.as_deref(), access, follow, lines) => sent,
                // Notices that a follower has disconnected, even if nothing is logged.
                _ = read.read(&mut gone) => Ok(()),
            }
        }
        Request::Reload { dry_run } => {
            for answer in reload::reload(&overview.reloads, dry_run).await {
                say(&mut write, &answer).await?;
            }
            Ok(())
        }
        other => {
            let about_sessions = sessions::answer(overview.auth.as_ref(), &other).await;
            let answers = match about_sessions {
                Some(answers) => answers,
                None => vec![overview.carry_out(other).await],
            };
            for answer in answers {
                say(&mut write, &answer).await?;
            }
            Ok(())
        }
    }
}

/// Why a client is refused; `None` if it is served.
fn refusal(
    stream: &UnixStream,
    peer: UCred,
    overview: &Overview,
    refusals: &Throttle,
) -> Option<&'static str> {
    let uid = peer.uid();
    if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
        if let Some(left_out) = refusals.note(&format!("uid {uid}"), Instant::now()) {
            warn!(uid, left_out, "control request refused: wrong user");
        }
        return Some("not permitted; ask as root or as the appliance's user");
    }
    // A client in a PID namespace around the appliance's has no PID here.
    let pid = peer.pid().filter(|pid| *pid > 0)?;
    match Peer::of(stream, pid).descent() {
        Descent::Own { child } => {
            let app = overview.supervisor.app_of(child);
            let app = app.map_or("a process that an app left".into(), |app| app.to_string());
            if let Some(left_out) = refusals.note(&app, Instant::now()) {
                warn!(
                    app,
                    pid, left_out, "control request refused: the client is a process of an app"
                );
            }
            Some("not permitted for apps; ask from a process that no app has started")
        }
        // It may have been a process of an app.
        Descent::Gone => Some("not permitted: the asking process has ended"),
        Descent::Other => None,
    }
}

async fn logs(
    write: &mut (impl AsyncWriteExt + Unpin),
    overview: &Overview,
    name: Option<&str>,
    access: bool,
    follow: bool,
    lines: usize,
) -> std::io::Result<()> {
    let is_known = |name: &&str| {
        let config = overview.config.borrow();
        let mut processes = config.processes();
        *name == APPLIANCE
            || config.app(name).is_some()
            || processes.any(|one| one.name.as_str() == *name)
    };
    if let Some(unknown) = name.filter(|name| !is_known(name)) {
        return say(write, &overview.unknown(unknown)).await;
    }
    let selection = match name {
        _ if access => Selection::Access(name.map(str::to_owned)),
        Some(name) => Selection::App(name.to_owned()),
        None => Selection::All,
    };
    if follow {
        let mut follower = overview.log.follow(selection, lines);
        while let Some(line) = follower.next().await {
            say(write, &Answer::Line(line)).await?;
        }
    } else {
        for line in overview.log.tail(&selection, lines) {
            say(write, &Answer::Line(line)).await?;
        }
    }
    say(write, &done(0, None)).await
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

fn done(code: u8, message: Option<String>) -> Answer {
    Answer::Done { code, message }
}

fn failed(error: &CommandError) -> Answer {
    done(1, Some(error.to_string()))
}

impl Overview {
    async fn carry_out(&self, request: Request) -> Answer {
        let (name, outcome) = match &request {
            Request::Start { name, wait } => (name, self.supervisor.start(name, *wait).await),
            Request::Stop { name, wait } => (name, self.supervisor.stop(name, *wait).await),
            Request::Restart { name, wait } => (name, self.supervisor.restart(name, *wait).await),
            Request::Signal { name, signal, group } => {
                return self.signal(name, signal, *group).await;
            }
            Request::AdminLink => return self.admin_link().await,
            Request::Status
            | Request::Health
            | Request::Logs { .. }
            | Request::Reload { .. }
            | Request::Sessions
            | Request::EndSession { .. }
            | Request::EndSessions { .. } => return self.health(),
        };
        let wanted = matches!(request, Request::Start { .. } | Request::Restart { .. });
        match outcome {
            Ok(phase) if wanted && *self.stopping.borrow() && !phase.is_ready() => {
                failed(&CommandError::Stopping)
            }
            Ok(Phase::Failed) => {
                done(1, Some(format!("{name} failed; `appliance logs {name}` says why")))
            }
            Ok(phase) => done(0, Some(format!("{name} is {}", phase.as_str()))),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&self, error: &CommandError) -> Answer {
        match error {
            CommandError::Unknown(name) => self.unknown(name),
            other => failed(other),
        }
    }

    fn unknown(&self, name: &str) -> Answer {
        done(
            1,
            Some(super::unknown(
                name,
                self.config.borrow().apps.iter().map(|app| app.name.as_str()),
            )),
        )
    }

    async fn signal(&self, name: &str, signal: &str, group: bool) -> Answer {
        let Some(signal) = signal_by_name(signal) else {
            let help = "write for example HUP or SIGHUP";
            return done(1, Some(format!("there is no signal called {signal}; {help}")));
        };
        match self.supervisor.signal(name, signal, group).await {
            Ok(()) => done(0, Some(format!("{signal} sent to {name}"))),
            Err(error) => self.refused(&error),
        }
    }

    async fn admin_link(&self) -> Answer {
        match self.administration.new_link().await {
            Ok(link) => {
                info!("a link for an administrator was made by the command line");
                let text = "Open this link within 30 minutes to create an administrator. It works once; \
                            earlier links have ended.";
                done(0, Some(format!("{text}\n{link}")))
            }
            Err(why) => done(1, Some(why)),
        }
    }

    /// Exit code 0 if sign-in is up and every critical app is ready, otherwise 1 with the reasons.
    fn health(&self) -> Answer {
        let mut missing = Vec::new();
        if *self.stopping.borrow() {
            missing.push("the appliance is stopping".to_owned());
        }
        if let Some(IssuerState::Waiting(reason) | IssuerState::Down(reason)) =
            self.issuer.as_ref().map(|issuer| issuer.borrow().clone())
        {
            missing.push(format!("sign-in is not up: {reason}"));
        }
        let config = self.config.borrow().clone();
        let critical = config.apps.iter().filter(|app| app.critical);
        missing.extend(critical.filter_map(|app| {
            let phase = *self.supervisor.phase(&app.name)?.borrow();
            let available = phase.is_available(app.idle_stop.is_some());
            (!available).then(|| format!("{} is {}", app.name, phase.as_str()))
        }));
        if missing.is_empty() { done(0, None) } else { done(1, Some(missing.join("; "))) }
    }

    /// The answer to `status`.
    pub async fn status(&self) -> Status {
        let usage = self.supervisor.usage().await;
        let people = self.people.read();
        let state = if *self.stopping.borrow() { "stopping" } else { "running" };
        let states = self.supervisor.status();
        let config = self.config.borrow().clone();
        let apps = config.processes().filter_map(|app| {
            let state = states.iter().find(|state| state.name == app.name)?;
            let users = people.iter().find(|(name, _)| name == app.name.app());
            let users = users.map(|(_, users)| *users);
            Some(AppState { users, ..describe(app, state, usage.get(&app.name)) })
        });
        Status {
            state: state.to_owned(),
            apps: apps.collect(),
            file_differs_since: differs_since(&config, &self.reading).await,
            start: self.supervisor.started().borrow().as_ref().map(timeline::describe_start),
            issuer: self.issuer.as_ref().map(|issuer| match &*issuer.borrow() {
                IssuerState::Right => IssuerStatus { state: "right".into(), reason: None },
                IssuerState::Waiting(why) => {
                    IssuerStatus { state: "waiting".into(), reason: Some(why.clone()) }
                }
                IssuerState::Down(why) => {
                    IssuerStatus { state: "down".into(), reason: Some(why.clone()) }
                }
            }),
        }
    }
}

/// Since when the file on the disk is another one. An app of the appliance's user may own the file and
/// make it slow to read, so another thread reads it, and no answer waits for long. A read that hangs gets
/// no company: each one would take a thread that starts of apps need.
async fn differs_since(config: &Arc<Config>, reading: &Turn) -> Option<String> {
    let config = config.clone();
    let read = reading.blocking(move || config.differs_since());
    let since = timeout(LONGEST_READ, read).await.ok()??;
    Some(rfc3339(since).to_string())
}

fn describe(app: &App, state: &AppStatus, usage: Option<&Usage>) -> AppState {
    AppState {
        name: app.name.to_string(),
        state: state.phase.as_str().to_owned(),
        pid: state.pid,
        since: rfc3339(state.since).to_string(),
        restarts: state.restarts,
        last_exit: state.last_exit.map(|exit| match exit {
            Exit::Code(code) => LastExit::Code(code),
            Exit::Signal(number) => LastExit::Signal(signal_name(number)),
        }),
        ready: state.phase.is_ready(),
        reason: state.reason.clone(),
        next_run: state.next_run.map(|next| rfc3339(next).to_string()),
        timeline: state
            .course
            .timeline(tokio::time::Instant::now())
            .as_ref()
            .map(timeline::describe),
        port: app.port,
        path: app.route.as_ref().map(|route| route.path.clone()),
        memory_bytes: usage.map(|usage| usage.memory),
        cpu_percent: usage
            .and_then(|usage| usage.cpu_percent)
            .map(|all| (all * 10.0).round() / 10.0),
        users: None,
    }
}

/// The name without `SIG`, or the number of a signal without a name (real-time signals).
fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_| number.to_string(),
        |signal| signal.as_str().trim_start_matches("SIG").to_owned(),
    )
}

fn signal_by_name(name: &str) -> Option<Signal> {
    let upper = name.to_ascii_uppercase();
    let long = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    long.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_with_and_without_sig() {
        assert_eq!(signal_by_name("HUP"), Some(Signal::SIGHUP));
        assert_eq!(signal_by_name("sigusr1"), Some(Signal::SIGUSR1));
        assert_eq!(signal_by_name("NOPE"), None);
        assert_eq!(signal_name(9), "KILL");
        assert_eq!(signal_name(40), "40");
    }
}
