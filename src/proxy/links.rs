//! What connects the proxy to the apps: their phases, the checks of their listeners, their sleepers, and
//! what no site may serve.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::own::console::Console;
use super::own::first_administrator::link::FirstAdministrator;
use crate::config::{AppClients, AppName, ListenerChecks, Phase, Sleepers};

/// What the proxy follows and asks of the apps that have a process.
#[derive(Debug, Default)]
pub struct AppLinks {
    /// The phase of each app.
    pub phases: HashMap<AppName, watch::Receiver<Phase>>,
    /// Whether the program behind a new connection is the app.
    pub checks: ListenerChecks,
    /// What the proxy tells about the use of each app.
    pub sleepers: Sleepers,
    /// Recognises the apps among the clients; `None` recognises none.
    pub clients: Option<Arc<dyn AppClients>>,
    /// The console of the operators; `None` for none.
    pub(crate) console: Option<Arc<dyn Console>>,
    /// Makes the first administrator of the Keycloak of the appliance; `None` if it has none.
    pub(crate) first_administrator: Option<Arc<dyn FirstAdministrator>>,
    /// Fails if an opened file or folder is a secret of the appliance; `None` knows no secrets.
    pub secrets: Option<fn(&File) -> io::Result<()>>,
}
