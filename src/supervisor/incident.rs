//! Troubles of apps that other folders may want to report: the source of alerts.

use std::time::SystemTime;

use super::exit::Exit;
use crate::config::AppName;

/// How many incidents wait for a slow receiver. It loses the oldest ones: the supervisor never
/// waits.
pub(crate) const BACKLOG: usize = 256;

/// What happened to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The app has failed for good.
    Failed,
    /// The app ended by itself, and is started again after a pause.
    Restarted,
    /// The app exceeded its `max_memory` and is restarted.
    Memory,
    /// The app is no longer ready.
    Unready,
}

/// A trouble of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Name of the app.
    pub app: AppName,
    /// What happened.
    pub trouble: Trouble,
    /// The cause, for people.
    pub reason: Option<String>,
    /// How the last incarnation ended.
    pub last_exit: Option<Exit>,
    /// Number of restarts since the appliance started.
    pub restarts: u64,
    /// When it happened.
    pub at: SystemTime,
}
