//! The messages of the control socket: one [`Request`] per connection, then [`Answer`]s as one JSON
//! document per line, the last of them [`Answer::Done`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auth::SessionRow;

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The state of all apps.
    Status,
    /// Whether the issuer and all critical apps are ready.
    Health,
    /// The newest lines of the log.
    Logs {
        /// Only the lines of this app.
        name: Option<String>,
        /// Only access lines. A client of an earlier version does not send this field.
        #[serde(default)]
        access: bool,
        /// Keep sending new lines.
        follow: bool,
        /// Number of lines to begin with.
        lines: usize,
    },
    /// Start an app.
    Start {
        /// Name of the app.
        name: String,
        /// Answer when the app is ready or has failed.
        wait: bool,
    },
    /// Stop an app.
    Stop {
        /// Name of the app.
        name: String,
        /// Answer when the app is stopped.
        wait: bool,
    },
    /// Restart an app.
    Restart {
        /// Name of the app.
        name: String,
        /// Answer when the app is ready or has failed.
        wait: bool,
    },
    /// Put the changed configuration file in force.
    Reload {
        /// Only say what would change.
        dry_run: bool,
    },
    /// The sessions in force.
    Sessions,
    /// End one session.
    EndSession {
        /// Its id.
        id: String,
    },
    /// End all sessions of a person.
    EndSessions {
        /// The user name.
        user: String,
    },
    /// Make a link for an administrator of the own Keycloak.
    AdminLink,
    /// Send a signal to an app.
    Signal {
        /// Name of the app.
        name: String,
        /// Name of the signal, `HUP` or `SIGHUP`.
        signal: String,
        /// Send the signal to the whole process group.
        group: bool,
    },
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The state of the appliance.
    Status(Status),
    /// The sessions in force.
    Sessions(Vec<SessionRow>),
    /// A line of the log.
    Line(String),
    /// What a reload changes: its steps as JSON, and as text.
    Plan {
        /// `{"steps": [{"action", …}]}`
        plan: serde_json::Value,
        /// One line for each step.
        lines: Vec<String>,
    },
    /// The last line: the exit code of the client, and a message if there is one.
    Done {
        /// Exit code.
        code: u8,
        /// Message for people.
        message: Option<String>,
    },
}

/// `status --json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `starting`, `running` or `stopping`.
    pub state: String,
    /// The apps, in the order of the file.
    pub apps: Vec<AppState>,
    /// The issuer; `None` if no app needs one.
    pub issuer: Option<IssuerStatus>,
    /// How the start of the appliance went; `None` while apps are starting. An appliance of an earlier
    /// version does not send this field.
    #[serde(default)]
    pub start: Option<Start>,
    /// Since when the configuration file is another one than the one in force, RFC 3339. An
    /// appliance of an earlier version does not send this field.
    #[serde(default)]
    pub file_differs_since: Option<String>,
}

/// How the start of the appliance went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// From the start of the appliance until nothing more was starting.
    pub took_ms: u64,
    /// What the whole waited for: each app waited for the one before.
    pub waited_for: Vec<Link>,
}

/// One app that the whole waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Name of the app.
    pub name: String,
    /// How long it needed when what it waited for was there.
    pub ms: u64,
}

/// The newest start of an app, in milliseconds. `started_ms` and `ready_ms` count from the moment at
/// which the start was due: for a first start, the start of the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long the app waited for others and for its turn.
    pub waited_ms: u64,
    /// When its process was started.
    pub started_ms: Option<u64>,
    /// When it was ready.
    pub ready_ms: Option<u64>,
}

/// One app of `status --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppState {
    /// Name of the app.
    pub name: String,
    /// Phase of the app.
    pub state: String,
    /// Process ID of the leader of its process group.
    pub pid: Option<i32>,
    /// When the phase began, RFC 3339.
    pub since: String,
    /// Number of restarts since the appliance started.
    pub restarts: u64,
    /// How the last incarnation ended.
    pub last_exit: Option<LastExit>,
    /// Whether the app serves requests.
    pub ready: bool,
    /// Why the app does not serve requests, or why the appliance has restarted it. An appliance of an earlier version does not send this
    /// field.
    #[serde(default)]
    pub reason: Option<String>,
    /// When the app runs next by its `schedule`, RFC 3339. An appliance of an earlier version does
    /// not send this field.
    #[serde(default)]
    pub next_run: Option<String>,
    /// How the newest start went; `None` before the first one. An appliance of an earlier version does
    /// not send this field.
    #[serde(default)]
    pub timeline: Option<Timeline>,
    /// Port on 127.0.0.1.
    pub port: Option<u16>,
    /// Path of the route.
    pub path: Option<String>,
    /// Memory of all processes of the app. An appliance of an earlier version does not send this
    /// field and the next one.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Percent of one processor that all processes of the app use, over the time since the look
    /// before; `None` in the first second.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// Distinct people with a request to the app in the last 5 minutes; `None` without a route. An
    /// appliance of an earlier version does not send this field.
    #[serde(default)]
    pub users: Option<usize>,
}

/// `{"code": 3}` or `{"signal": "KILL"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastExit {
    /// The process called `exit(n)`.
    Code(i32),
    /// Name of the signal without `SIG`.
    Signal(String),
}

impl fmt::Display for LastExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "SIG{name}"),
        }
    }
}

/// The issuer in `status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerStatus {
    /// `waiting`, `right` or `down`.
    pub state: String,
    /// Why the issuer is not `right`.
    pub reason: Option<String>,
}
