//! The state that a client connection and the request on it share.
//!
//! hyper sits between the two and does not tell when it waits for a request head, when a response
//! is written, or whether the request body was read to its end. The time limits of a connection
//! depend on all three.

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
    /// hyper's own answer to bytes that it could not parse.
    Client,
    /// The proxy: a request is being answered.
    Proxy,
    /// hyper has the whole response. It becomes the client's turn when the response is flushed.
    Flushing,
}

/// A protocol that takes over a connection after the response, such as a WebSocket tunnel.
pub(crate) trait Takeover: fmt::Debug {
    /// Runs until the connection is over. `early` is what the client sent right after its
    /// handshake.
    fn run(self: Box<Self>, client: Stream, early: Bytes) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// What one client connection and its current request share.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// Who has to send next.
    pub turn: Cell<Turn>,
    /// The request body was not read to its end.
    pub unread: Cell<bool>,
    /// Takes the connection over once the response is written.
    pub takeover: RefCell<Option<Box<dyn Takeover>>>,
}

impl ConnectionState {
    pub(crate) fn new() -> Self {
        Self {
            turn: Cell::new(Turn::Client),
            unread: Cell::new(false),
            takeover: RefCell::new(None),
        }
    }
}
