//! Probes of an app.

use std::time::Duration;

use super::upstream::Upstream;

/// A probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What the probe asks.
    pub kind: ProbeKind,
    /// Pause between two questions; shorter while the app starts.
    pub interval: Duration,
    /// Time for one answer.
    pub timeout: Duration,
    /// Time for the whole start, after which the start has failed.
    pub deadline: Duration,
}

/// The kinds of probes.
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// `GET` on the app's address; redirects are not followed.
    Http {
        /// The request and the responses that count as success.
        question: HttpQuestion,
        /// Addresses; one success is enough, because requests then go to that address.
        at: Vec<Upstream>,
    },
    /// One of these addresses accepts a connection.
    Tcp(Vec<Upstream>),
    /// The same, and before the first success the app itself has taken the connection. A pre-fork
    /// server (gunicorn, uWSGI) opens its port before it has loaded the application; until then,
    /// connections only wait in the kernel.
    Accepts(Vec<Upstream>),
    /// The command exits 0; it runs with the app's user, environment and limits.
    Exec(Vec<String>),
    /// A line of the app's output matches.
    Log(regex::bytes::Regex),
    /// The app reports its readiness itself.
    Notify(Notify),
}

impl ProbeKind {
    /// The addresses that the probe asks.
    pub fn asked(&self) -> &[Upstream] {
        match self {
            Self::Http { at, .. } | Self::Tcp(at) | Self::Accepts(at) => at,
            Self::Exec(_) | Self::Log(_) | Self::Notify(_) => &[],
        }
    }

    /// The same to change them.
    pub(crate) fn asked_mut(&mut self) -> &mut [Upstream] {
        match self {
            Self::Http { at, .. } | Self::Tcp(at) | Self::Accepts(at) => at,
            Self::Exec(_) | Self::Log(_) | Self::Notify(_) => &mut [],
        }
    }
}

/// The request of an `http` probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpQuestion {
    /// Path and query, as the app receives them.
    pub path: String,
    /// The statuses that count as success.
    pub status: Vec<u16>,
    /// What a request through the proxy would say; `None` for an app that browsers do not reach.
    pub browser: Option<BrowserView>,
}

/// The address of an app as browsers use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserView {
    /// The value of the `Host` header: host, and port unless it is the default of the scheme.
    pub host: String,
    /// Whether browsers use https.
    pub secure: bool,
    /// The path that `strip_prefix` removes; `None` if nothing is removed.
    pub stripped: Option<String>,
}

/// How an app reports that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD` (s6).
    Fd,
    /// `READY=1` to the socket in `NOTIFY_SOCKET` (`sd_notify(3)`).
    Systemd,
}
