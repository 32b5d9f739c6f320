//! What a client connection is counted as, until it is closed.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::capacity::{Admission, RefusalSlot, Slot};
use crate::config::Listen;
use crate::proxy::Proxy;
use crate::proxy::phases::admit::client_address::Peer;
use crate::proxy::socket::stop_stage::StopStage;

/// How long a connection over the limit may take to send its request.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of a client when it has connected.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: ClientAddress,
    /// The address is that of a proxy, which has to name the client first.
    pub(super) is_announced: bool,
    pub(super) place: Place,
    /// The address of the appliance by which the client has come.
    pub(super) at: Rc<Listen>,
}

/// The address of a client, and whether a proxy has named it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress {
    /// `None` on a unix socket.
    pub(super) at: Option<SocketAddr>,
    /// A proxy has named the address.
    pub(super) is_relayed: bool,
}

impl ClientAddress {
    /// The address of a connection.
    pub(super) fn of_peer(at: Option<SocketAddr>) -> Self {
        Self { at, is_relayed: false }
    }

    /// The address, in the form in which limits and the log have it.
    pub(super) fn ip(self) -> Option<IpAddr> {
        self.at.map(|at| at.ip().to_canonical())
    }

    /// The client as requests see it.
    pub(super) fn peer(self, proxy: &Proxy) -> Rc<Peer> {
        let peer = Peer::new(self.at, &proxy.trusted);
        Rc::new(if self.is_relayed { peer.relayed() } else { peer })
    }
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
    /// `None` if the connection is closed at once.
    pub(super) fn of(admission: Admission) -> Option<Self> {
        match admission {
            Admission::Admitted(slot) => Some(Self::Slot(Rc::new(slot))),
            Admission::Refused(slot) => Some(Self::Refusal { _counted: slot }),
            Admission::Dropped => None,
        }
    }

    /// The time that the connection has for what may take `usual`.
    pub(super) fn longest(&self, usual: Duration) -> Duration {
        longest(usual, matches!(self, Self::Refusal { .. }))
    }

    /// Waits until a connection without a request has to make room, or the appliance stops.
    pub(super) async fn must_close(&self, stop: &watch::Receiver<StopStage>) {
        let mut stop = stop.clone();
        let stopping = stop.wait_for(|stop| *stop != StopStage::Running);
        tokio::select! {
            _ = stopping => {}
            () = self.makes_room() => {}
        }
    }

    /// Waits until a connection without a request has to make room.
    pub(super) async fn makes_room(&self) {
        poll_fn(|cx| match self {
            Self::Slot(slot) if slot.must_close(cx) => Poll::Ready(()),
            Self::Slot(_) | Self::Refusal { .. } => Poll::Pending,
        })
        .await;
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
