//! What a client connection is counted as, until it is closed.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::capacity::{RefusalSlot, Slot};

/// How long a connection over the limit may take to send its request.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of a client when it has connected.
#[derive(Debug)]
pub(super) struct Client {
    /// `None` on a unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) place: Place,
    /// A reload gives up the address of the appliance by which the client has come.
    pub(super) moved: CancellationToken,
}

/// What a connection is counted as.
#[derive(Debug)]
pub(super) enum Place {
    /// One of the connections that are served.
    Slot(Rc<Slot>),
    /// One over the limit: its first request is answered with 503.
    Refusal { _counted: RefusalSlot },
}

impl Place {
    /// The time that the connection has for what may take `usual`.
    pub(super) fn longest(&self, usual: Duration) -> Duration {
        longest(usual, matches!(self, Self::Refusal { .. }))
    }

    /// `None` over the limit of connections.
    pub(super) fn slot(&self) -> Option<&Rc<Slot>> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::Refusal { .. } => None,
        }
    }
}

/// The time that a connection has for what may take `usual`.
pub(super) fn longest(usual: Duration, over_limit: bool) -> Duration {
    if over_limit { usual.min(REFUSAL_TIMEOUT) } else { usual }
}
