//! Bytes in, bytes out: the front door.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::Auth;
use crate::config::{AppName, Config, Listen, Phase};
use crate::telemetry::LogHandle;

/// The front door before it is opened: routes and pages, no socket.
#[derive(Debug)]
pub struct Proxy {}

/// Sockets that are bound and listening; nobody accepts yet.
#[derive(Debug)]
pub struct Listeners {}

/// The open front door.
#[derive(Debug)]
pub struct Serving {}

/// Binds all addresses; the error names the one that failed.
pub fn bind(_listen: &[Listen]) -> Result<Listeners, BindError> {
    todo!()
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// Which.
    pub address: String,
    /// Why.
    pub source: std::io::Error,
}

impl Proxy {
    /// Builds routes, pages and pools. `phases` has every app with a process.
    pub fn new(
        _config: &Config,
        _auth: Option<Arc<Auth>>,
        _phases: HashMap<AppName, watch::Receiver<Phase>>,
        _log: LogHandle,
    ) -> Arc<Self> {
        todo!()
    }

    /// Accepts on worker threads of its own.
    pub fn serve(self: Arc<Self>, _listeners: Listeners) -> std::io::Result<Serving> {
        todo!()
    }
}

impl Serving {
    /// From now on `/_appliance/ready` says 503, nothing is accepted, idle connections and
    /// tunnels are closed (1001), requests in flight are finished; returns when all are, or when
    /// the budget is used up.
    pub async fn drain(self, _budget: Duration) {
        todo!()
    }
}
