//! The state that one request shares with the connection that carries it.
//!
//! hyper stands between the connection and the request. It does not report when it waits for a
//! request head, when a response is written, or whether the request body was read to its end. The
//! time limits of a connection depend on all three.
//!
//! The requests of an HTTP/1 connection come one after the other and share one `Exchange`. On HTTP/2 each
//! request has its own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::stream::Stream;

/// Who has to send next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The client: the proxy waits for a request head. Bytes that hyper writes in this state are
    /// hyper's own response to bytes that hyper could not parse.
    Client,
    /// The proxy: a request is being answered.
    Proxy,
    /// hyper has the whole response. After hyper has flushed the response, it is the client's turn.
    Flushing,
}

/// A protocol that takes over a connection after the response, such as a WebSocket tunnel.
pub(crate) trait Takeover: fmt::Debug {
    /// Runs until the connection is closed. `early` holds the bytes that the client sent right
    /// after its handshake.
    fn run(self: Box<Self>, client: Stream, early: Bytes) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// The state that one request shares with its connection.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Who has to send next.
    pub turn: Cell<Turn>,
    /// Bytes of a request have arrived on the connection.
    pub begun: Cell<bool>,
    /// The request body was not read to its end.
    pub unread: Cell<bool>,
    /// The right to the response was lost: nothing more of it may be sent.
    pub revoked: Cell<bool>,
    /// The response is one of the appliance, which is short.
    pub is_own: Cell<bool>,
    /// The protocol that takes over the connection after the response is written.
    pub takeover: RefCell<Option<Box<dyn Takeover>>>,
    /// The connection carries other requests at the same time: nothing may be done to it for the sake of
    /// this one.
    pub is_multiplexed: bool,
}

impl Exchange {
    /// For the requests of an HTTP/1 connection.
    pub(crate) fn of_connection() -> Self {
        Self {
            turn: Cell::new(Turn::Client),
            begun: Cell::new(false),
            unread: Cell::new(false),
            revoked: Cell::new(false),
            is_own: Cell::new(false),
            takeover: RefCell::new(None),
            is_multiplexed: false,
        }
    }

    /// For the one request of an HTTP/2 stream.
    pub(crate) fn of_stream() -> Self {
        Self { is_multiplexed: true, ..Self::of_connection() }
    }
}
