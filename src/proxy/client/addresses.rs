//! The addresses on which the workers accept connections, and what a reload changes about them.

use crate::config::Listen;
use crate::proxy::socket::listen::{BindError, Held, Listeners, bind_among};
use crate::proxy::socket::overlap::{includes, overlap};

/// The addresses of all workers.
#[derive(Debug)]
pub(super) struct Addresses {
    open: Vec<Held>,
    /// The workers have the order to close these.
    closing: Vec<Held>,
}

/// What a reload does with the addresses.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) added: Listeners,
    /// The addresses that stay beside the new ones; all others are closed.
    pub(super) kept: Vec<Listen>,
    /// The addresses that are closed a moment later.
    pub(super) lingering: Vec<Listen>,
}

fn port(address: &Listen) -> Option<u16> {
    match address {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix(_) => None,
    }
}

impl Addresses {
    pub(super) fn new(listeners: &Listeners) -> Self {
        Self { open: listeners.held(), closing: Vec::new() }
    }

    /// Binds the addresses of `wanted` that are new.
    pub(super) fn bind(&self, wanted: &[Listen]) -> Result<Change, BindError> {
        let is_open = |address: &Listen| self.open.iter().any(|one| one.address == *address);
        let new: Vec<_> = wanted.iter().filter(|one| !is_open(one)).cloned().collect();
        // At a start, addresses of one file that overlap cannot be bound.
        let alone =
            |one: &Held| !wanted.iter().any(|other| overlap(other, &one.address) && is_open(other));
        let own = self.open.iter().chain(&self.closing).filter(|one| alone(one));
        let own: Vec<_> = own.cloned().collect();
        let ports: Vec<_> = new.iter().filter_map(port).collect();
        let beside = || self.open.iter().chain(&self.closing);
        let on_same_port =
            || beside().filter(|one| port(&one.address).is_some_and(|own| ports.contains(&own)));
        on_same_port().for_each(Held::release_port);
        let added =
            bind_among(&new, &own).inspect_err(|_| on_same_port().for_each(Held::keep_port))?;
        added.keep_ports(&beside().cloned().collect::<Vec<_>>());
        let addresses = || self.open.iter().map(|one| one.address.clone());
        // A connection whose handshake has begun belongs to the socket that has received it, and is
        // lost with the socket. So one that is a part of a new address stays, and one of which the new
        // address is a part is closed when the handshakes have ended.
        let stays = |one: &Listen| wanted.iter().any(|other| other == one || includes(other, one));
        Ok(Change {
            added,
            kept: addresses().filter(stays).collect(),
            lingering: addresses()
                .filter(|one| !stays(one) && new.iter().any(|new| includes(one, new)))
                .collect(),
        })
    }

    /// Notes a change that the workers carry out.
    pub(super) fn follow(&mut self, kept: &[Listen], added: Vec<Held>) {
        self.closing.retain(|one| one.socket.strong_count() > 0);
        self.closing.extend(self.open.extract_if(.., |one| !kept.contains(&one.address)));
        self.open.extend(added);
    }
}
