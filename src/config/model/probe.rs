//! Probes of an app.

use std::time::Duration;

use super::address::Upstream;

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
