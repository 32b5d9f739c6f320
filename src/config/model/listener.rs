//! Whether the program behind a connection to an app's address is the app.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use super::name::AppName;

/// Checks a new connection to an app before anything is sent over it.
pub trait ListenerCheck: Debug + Send + Sync {
    /// Whether the listener that has accepted a connection to `peer` is the app's; `None`: to any of
    /// the app's addresses. An address that the app itself is not meant to open is not checked.
    ///
    /// # Errors
    ///
    /// The connection must not be used.
    fn check(&self, peer: Option<SocketAddr>) -> Result<(), ListenerFault>;
}

/// The checks of all apps.
pub type ListenerChecks = HashMap<AppName, Arc<dyn ListenerCheck>>;

/// Why a connection must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenerFault {
    /// Another program listens; the text names it.
    #[error("{0}")]
    Foreign(String),
    /// The listener is the app's, but it has not been there before, or it has gone: another program
    /// may have accepted the connection. A new connection reaches the app.
    #[error("the app has just opened or closed its port")]
    Changed,
}
