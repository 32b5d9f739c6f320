//! What goes over the control socket: one [`Request`] a connection, then [`Answer`]s, a JSON
//! document a line, until one is [`Answer::Done`].

use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// All apps.
    Status,
    /// Whether everything that matters is ready.
    Health,
    /// The newest lines, and those that come.
    Logs {
        /// Of one app only.
        name: Option<String>,
        /// Go on.
        follow: bool,
        /// How many to begin with.
        lines: usize,
    },
    /// Start an app.
    Start {
        /// Which.
        name: String,
        /// Answer when it is ready or has failed.
        wait: bool,
    },
    /// Stop an app.
    Stop {
        /// Which.
        name: String,
        /// Answer when it is stopped.
        wait: bool,
    },
    /// Stop and start an app.
    Restart {
        /// Which.
        name: String,
        /// Answer when it is ready or has failed.
        wait: bool,
    },
    /// Send a signal.
    Signal {
        /// To which app.
        name: String,
        /// `HUP` or `SIGHUP`.
        signal: String,
        /// To its whole group.
        group: bool,
    },
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The appliance as a whole.
    Status(Status),
    /// A line of the log.
    Line(String),
    /// The end: the client's exit code, and a sentence when there is something to say.
    Done {
        /// Exit code.
        code: u8,
        /// For people.
        message: Option<String>,
    },
}

/// `status --json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `starting`, `running` or `stopping`.
    pub state: String,
    /// In the order of the file.
    pub apps: Vec<AppState>,
    /// The issuer; `None` when nothing needs one.
    pub issuer: Option<IssuerStatus>,
}

/// One app of `status --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppState {
    /// Its name.
    pub name: String,
    /// Its phase.
    pub state: String,
    /// Leader of its group.
    pub pid: Option<i32>,
    /// When this state began, RFC 3339.
    pub since: String,
    /// Since the appliance started.
    pub restarts: u64,
    /// How the last incarnation ended.
    pub last_exit: Option<LastExit>,
    /// May be used.
    pub ready: bool,
    /// On 127.0.0.1.
    pub port: Option<u16>,
    /// Where it is reached.
    pub path: Option<String>,
}

/// `{"code": 3}` or `{"signal": "KILL"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastExit {
    /// `exit(n)`
    Code(i32),
    /// The signal's name without `SIG`.
    Signal(String),
}

/// The issuer in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerStatus {
    /// `waiting`, `right` or `down`.
    pub state: String,
    /// Why it is not right.
    pub reason: Option<String>,
}
