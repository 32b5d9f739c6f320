//! Probes of an app.

use std::time::Duration;

use super::address::Upstream;

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
        /// Path and query.
        path: String,
        /// Status that counts as success.
        status: u16,
        /// Addresses; one success is enough, because requests then go to that address.
        at: Vec<Upstream>,
    },
    /// One of these addresses accepts a connection.
    Tcp(Vec<Upstream>),
    /// The command exits 0; it runs with the app's user, environment and limits.
    Exec(Vec<String>),
    /// A line of the app's output matches.
    Log(regex::bytes::Regex),
    /// The app reports its readiness itself.
    Notify(Notify),
}

/// How an app reports that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD` (s6).
    Fd,
    /// `READY=1` to the socket in `NOTIFY_SOCKET` (`sd_notify(3)`).
    Systemd,
}
