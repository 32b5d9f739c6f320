//! One `[apps.NAME]` table, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::{Access, AppName, Constraints, Dial, Rule, SecretSource};

/// An app: a child process, a route, or both.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// What runs; `None` for a route to something that runs elsewhere.
    pub run: Option<Run>,
    /// What is reachable from outside; `None` when it is not routed.
    pub route: Option<Route>,
    /// Its port on 127.0.0.1; chosen by [`super::Config::assign_ports`] when the file gives none.
    pub port: Option<u16>,
    /// Whom it waits for.
    pub after: Vec<After>,
    /// When it is ready; `None`: when it is started.
    pub ready: Option<Probe>,
    /// When it hangs; not asked before the first ready.
    pub live: Option<Probe>,
    /// Failures of `live` in a row that end it.
    pub live_failures: u32,
    /// When it is started again.
    pub restart: Restart,
    /// Pause before that.
    pub backoff: Backoff,
    /// More restarts than this within `window`: failed.
    pub max_restarts: u32,
    /// See `max_restarts`.
    pub window: Duration,
    /// Exit codes that are no failure.
    pub success_exit_codes: Vec<i32>,
    /// The appliance ends with its code when it fails for good.
    pub critical: bool,
    /// Runs once; ready when it exits with success.
    pub oneshot: bool,
    /// How it is stopped.
    pub stop: StopPlan,
    /// Tile of the portal: name for people.
    pub title: Option<String>,
    /// Tile of the portal: an emoji, a `data:` URL or a same-origin path.
    pub icon: Option<String>,
    /// Tile of the portal: one line.
    pub description: Option<String>,
    /// No tile.
    pub hidden: bool,
}

/// A child process and its surroundings. Placeholders (`{port}` …) are replaced by
/// [`super::Config::assign_ports`].
#[derive(Debug, Clone)]
pub struct Run {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// What its table says, over `env_file` and the allow-list; in this order.
    pub env: Vec<(String, EnvValue)>,
    /// Names taken from our own environment beside the allow-list.
    pub pass_env: Vec<String>,
    /// `NAME=value` lines, read at spawn.
    pub env_file: Option<PathBuf>,
    /// Run as this user.
    pub user: Option<String>,
    /// Instead of that user's own group.
    pub group: Option<String>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Resource limits.
    pub limits: Limits,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// First-time setup, in order.
    pub setup: Vec<Setup>,
    /// `false`: its output is thrown away.
    pub log: bool,
}

/// A value of `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// As written.
    Plain(String),
    /// Read at spawn, never shown.
    Secret(SecretSource),
}

/// `limits`: soft and hard alike; `None` leaves them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_NOFILE`
    pub nofile: Option<u64>,
    /// `RLIMIT_CORE`, bytes
    pub core: Option<u64>,
    /// `RLIMIT_NPROC`
    pub nproc: Option<u64>,
    /// `RLIMIT_AS`, bytes
    pub address_space: Option<u64>,
    /// `RLIMIT_FSIZE`, bytes
    pub file_size: Option<u64>,
}

/// First-time setup: runs unless `creates` exists.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Program and arguments.
    pub run: Vec<String>,
    /// What is there afterwards.
    pub creates: PathBuf,
    /// Beside the app's own environment.
    pub env: Vec<(String, String)>,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// On whom.
    pub app: AppName,
    /// Until when.
    pub until: Until,
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It was spawned.
    Started,
    /// It is ready.
    Ready,
    /// It has exited with success.
    Finished,
}

/// A question that is asked of an app.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// Pause between two questions (faster while starting).
    pub interval: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// For the whole start; then it counts as failed.
    pub deadline: Duration,
}

/// The forms of a probe.
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// `GET` on the app's address: this status, no redirect followed.
    Http {
        /// Path and query.
        path: String,
        /// Status that means yes.
        status: u16,
        /// Where: one that says yes is enough, as requests go to that one then.
        at: Vec<Upstream>,
    },
    /// A connection is accepted, by one of these at least.
    Tcp(Vec<Upstream>),
    /// This command exits 0, run as the app is.
    Exec(Vec<String>),
    /// A line of the app's output matches.
    Log(regex::bytes::Regex),
    /// The app says so itself.
    Notify(Notify),
}

/// How an app says that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD` (s6).
    Fd,
    /// `READY=1` to `NOTIFY_SOCKET` (`sd_notify(3)`).
    Systemd,
}

/// When an app that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Whatever the exit was.
    Always,
    /// Unless the exit was a success.
    OnFailure,
    /// Never.
    Never,
}

/// Exponential, with ±20 % jitter; `min` is a true lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First pause.
    pub min: Duration,
    /// Longest pause.
    pub max: Duration,
}

/// How an app is stopped: a signal to its group, then KILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPlan {
    /// The polite one.
    pub signal: nix::sys::signal::Signal,
    /// How long it may take.
    pub timeout: Duration,
}

/// What of an app is reachable from outside, and for whom.
#[derive(Debug, Clone)]
pub struct Route {
    /// Prefix on segment borders: `/app1`, or `/` for all. No trailing slash otherwise.
    pub path: String,
    /// Only under this host (lower case, without port).
    pub host: Option<String>,
    /// The app does not see the prefix.
    pub strip_prefix: bool,
    /// Where it is dialled; more than one: in turn.
    pub upstreams: Vec<Upstream>,
    /// Who may.
    pub access: Access,
    /// Who may not, whatever `access` says.
    pub deny: Option<Constraints>,
    /// Policies of its parts, first match wins.
    pub rules: Vec<Rule>,
    /// Never redirect to the login.
    pub api: bool,
    /// Names of the identity headers; `None`: no identity is handed over.
    pub identity: Option<Identity>,
    /// Over it 413, bytes.
    pub max_body: Option<u64>,
    /// For the first byte of an answer.
    pub timeout: Duration,
    /// `Origin` values of WebSocket handshakes beside `public_url`'s; `*` allows all.
    pub origins: Vec<String>,
    /// When not empty: only these prefixes (relative, on segment borders) are reachable from
    /// outside, all else is 404. The keycloak preset closes the admin console with it.
    pub exposed: Vec<String>,
    /// Paths below the app's that are always 404 from outside, as streamlit's `/_stcore/metrics`.
    pub hidden_paths: Vec<String>,
}

/// An address that is dialled for a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub dial: Dial,
    /// TLS to it (`https://`).
    pub tls: bool,
    /// The `Host` it expects when it is not ours to keep; `None` keeps the browser's.
    pub host: Option<String>,
}

/// Header names under which an app hears who is signed in (lower case).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Comma-joined, percent-encoded groups.
    pub groups: Option<String>,
    /// `preferred_username`.
    pub preferred_username: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// The access token itself.
    pub access_token: Option<String>,
    /// A signed assertion of who is signed in, for this app alone.
    pub assertion: Option<String>,
}

/// Where an app is in its life; what dependents, the proxy and people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For a dependency or for its turn.
    Waiting,
    /// Spawned, not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Was ready; its probe says no.
    Unready,
    /// Told to stop.
    Stopping,
    /// Not running, as wished. A oneshot that succeeded is `Finished`.
    Stopped,
    /// A oneshot that exited with success; that is when it is ready.
    Finished,
    /// Ended; will be started again after a pause.
    Backoff,
    /// Ended for good.
    Failed,
}

impl Phase {
    /// The word of `status --json` and of pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            // Whoever waits for a word of the contract sees one: its exit tells the rest.
            Self::Ready | Self::Finished => "ready",
            Self::Unready => "unready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }

    /// Whether dependents and requests may go ahead.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Finished)
    }
}
