//! The front door and the log.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::access::Access;
use super::address::{Listen, PublicUrl};

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Addresses of the front door.
    pub listen: Vec<Listen>,
    /// The origin that browsers use.
    pub public_url: PublicUrl,
    /// Keys, generated secrets, control socket; made 0700.
    pub state_dir: PathBuf,
    /// The user of apps that name none.
    pub users: Users,
    /// Peers whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// All header lines together, bytes; over it 431.
    pub max_header_bytes: usize,
    /// For a whole request head; after it 408.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest pause inside a request body.
    pub body_timeout: Duration,
    /// The one budget of a stop.
    pub shutdown_timeout: Duration,
    /// Who may see the operator page; `None` is nobody.
    pub operators: Option<Access>,
    /// Heading of our pages.
    pub title: Option<String>,
    /// Image on our pages: a `data:` URL or a same-origin path.
    pub logo: Option<String>,
    /// Whom to ask, shown on refusals: an address or a URL.
    pub contact: Option<String>,
}

/// The user of apps that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The appliance's own.
    Same,
    /// A user for each app, where we are root.
    PerApp,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// Filter of our own lines, as `info` or `appliance=debug,hyper=warn`.
    pub level: String,
    /// One line for every request.
    pub access: bool,
    /// Colours in text.
    pub color: Color,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-11-24T10:00:00.123Z app1        | the line`
    Text,
    /// One object a line.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
