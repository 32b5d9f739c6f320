//! What one client connection and the request on it have to tell each other.
//!
//! hyper sits between the two and says little: not when a request head is awaited, not when an
//! answer is out, not whether the body was read. The timeouts of a connection need to know.

use std::cell::{Cell, RefCell};

use super::tunnel::Tunnel;

/// Whose turn it is on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client's: a request head is awaited. Whatever hyper writes now is an answer of its own
    /// to bytes that were no request.
    Client,
    /// Ours: a request is being answered.
    Us,
    /// The answer has been handed over; the client's as soon as it is flushed.
    Flushing,
}

/// The shared state of a connection.
#[derive(Debug)]
pub(super) struct Seat {
    /// See [`Turn`].
    pub turn: Cell<Turn>,
    /// A request body was not read to its end.
    pub unread: Cell<bool>,
    /// What the connection becomes once the answer is out.
    pub tunnel: RefCell<Option<Box<Tunnel>>>,
}

impl Seat {
    pub(super) fn new() -> Self {
        Self { turn: Cell::new(Turn::Client), unread: Cell::new(false), tunnel: RefCell::new(None) }
    }
}
