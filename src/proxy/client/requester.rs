//! The client of one connection: makes the context of each of its requests.
//!
//! A reload may change the proxy between two requests, and with it the time limits of the connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::capacity::Slot;
use super::place::{self, ClientAddress, Place};
use super::send_stall::SendLimits;
use super::worker::Worker;
use crate::proxy::Proxy;
use crate::proxy::pipeline::context::ConnectionContext;
use crate::proxy::socket::entrance::Entrance;
use crate::proxy::socket::exchange::Exchange;
use crate::proxy::socket::passage::Passage;

/// The time limits of a client connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From a head's first byte to its last.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For a client that takes no bytes of a response.
    pub send: SendLimits,
}

/// The client of one connection.
#[derive(Debug)]
pub(super) struct Requester {
    worker: Rc<Worker>,
    context: RefCell<ConnectionContext>,
    address: ClientAddress,
    limits: Rc<Cell<Limits>>,
    /// `None` over the limit of connections.
    slot: Option<Rc<Slot>>,
}

impl Requester {
    pub(super) fn new(
        worker: Rc<Worker>,
        (entrance, passage): (Entrance, Rc<Passage>),
        address: ClientAddress,
        place: &Place,
        state: Rc<Exchange>,
    ) -> Self {
        let shared = worker.context();
        let slot = place.slot().cloned();
        let over_limit = slot.is_none();
        let limits = Rc::new(Cell::new(limits(&shared.proxy, over_limit)));
        let peer = address.peer(&shared.proxy);
        let entrance = Rc::new(entrance);
        let context =
            ConnectionContext { worker: shared, state, peer, entrance, passage, over_limit };
        Self { worker, context: RefCell::new(context), address, limits, slot }
    }

    /// The context of the next request: with the newest proxy.
    pub(super) fn context(&self) -> ConnectionContext {
        let mut context = self.context.borrow_mut();
        let newest = self.worker.context();
        if !Rc::ptr_eq(&newest, &context.worker) {
            self.limits.set(limits(&newest.proxy, context.over_limit));
            context.peer = self.address.peer(&newest.proxy);
            context.worker = newest;
        }
        context.clone()
    }

    /// The time limits, which change with the proxy.
    pub(super) fn limits(&self) -> &Rc<Cell<Limits>> {
        &self.limits
    }

    /// `None` over the limit of connections.
    pub(super) fn slot(&self) -> Option<&Rc<Slot>> {
        self.slot.as_ref()
    }
}

fn limits(proxy: &Proxy, over_limit: bool) -> Limits {
    Limits {
        header: place::longest(proxy.header_timeout, over_limit),
        idle: place::longest(proxy.idle_timeout, over_limit),
        send: SendLimits { alive: proxy.send_timeout, silent: proxy.body_timeout },
    }
}
