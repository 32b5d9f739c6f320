//! All numbers at one moment.

use std::time::{Duration, SystemTime};

use crate::auth::AuthFigures;
use crate::config::Phase;
use crate::proxy::TrafficFigures;

/// How the last reload ended; before the first one, the start.
#[derive(Debug, Clone, Copy)]
pub struct LastReload {
    /// It put the file in force.
    pub successful: bool,
    /// When it ended.
    pub at: SystemTime,
}

/// All numbers at one moment.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) process: ProcessFigures,
    /// Requests by app; `appliance` stands for the appliance itself.
    pub(super) traffic: Vec<(String, TrafficFigures)>,
    /// `None` if nobody can sign in.
    pub(super) auth: Option<AuthFigures>,
    pub(super) issuer_up: Option<bool>,
    pub(super) apps: Vec<AppFigures>,
    pub(super) log_bytes: Vec<(String, u64)>,
    pub(super) last_reload: LastReload,
    /// First name and end of validity of the certificates.
    pub(super) certificates: Vec<(String, SystemTime)>,
}

/// One app.
#[derive(Debug, Clone)]
pub(super) struct AppFigures {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) restarts: u64,
    pub(super) start: Option<Duration>,
    /// Memory in bytes; `None` if it does not run.
    pub(super) memory: Option<u64>,
    pub(super) cpu: Option<Duration>,
}

/// The process of the appliance.
#[derive(Debug, Clone, Default)]
pub(super) struct ProcessFigures {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) open_files: u64,
    pub(super) max_open_files: u64,
    /// Seconds since 1970.
    pub(super) started: f64,
}

/// Seconds since 1970.
pub(super) fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
