//! One `[apps.NAME]` table, checked.

use std::time::Duration;

use super::life::{After, Backoff, Restart, StopPlan};
use super::name::AppName;
use super::probe::Probe;
use super::route::Route;
use super::run::Run;

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
    /// The file gives the port: the app is meant to listen there.
    pub port_is_given: bool,
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
