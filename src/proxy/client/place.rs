//! What a client connection is counted as, until it is closed.

use std::rc::Rc;
use std::time::Duration;

use super::capacity::{RefusalSlot, Slot};

/// How long a connection over the limit may take to send its request.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

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
