//! Checks that the socket that listens on an app's address belongs to the app.
//!
//! It belongs to the app if a process of the app holds it, or if its user is the app's user and no
//! process of another app holds it. The inode of a verified socket is remembered: as long as the
//! socket does not change, a check only reads the few listening sockets of the machine.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};

use super::address::{Dialled, dialled};
use super::listeners::Socket;
use super::{held, holder, listeners};
use crate::config::{App, AppName, ListenerFault, LoopbackPort};
use crate::supervisor::process::procfs;
use crate::supervisor::process::reaper::Reaper;

/// Pause between two looks at the sockets of an app that does not listen on its port.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The owner that the sockets of one incarnation must have.
#[derive(Debug)]
pub(crate) struct Owner {
    app: AppName,
    routed: bool,
    addresses: Dialled,
    leader: Pid,
    uid: u32,
    reaper: Reaper,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Inodes of sockets that belong to the app.
    own: HashSet<u64>,
    /// Inode and holder of the foreign socket that the log has named last.
    foreign: Option<(u64, String)>,
    looked_for_exposed: bool,
    /// When [`Owner::elsewhere`] has looked last, and what it found.
    elsewhere: Option<(Instant, Vec<SocketAddr>)>,
}

impl Owner {
    pub(crate) fn new(app: &App, leader: Pid, uid: u32, reaper: Reaper) -> Self {
        Self {
            app: app.name.clone(),
            routed: app.route.is_some(),
            addresses: dialled(app),
            leader,
            uid,
            reaper,
            known: Mutex::default(),
        }
    }

    /// Whether any address is checked.
    pub(crate) fn has_addresses(&self) -> bool {
        self.addresses.own.is_some() || !self.addresses.given.is_empty()
    }

    /// Fails with a reason for people if another program listens on an address of the app. For an app
    /// that counts as ready otherwise.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_addresses()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.routed && !known.looked_for_exposed {
            known.looked_for_exposed = true;
            self.warn_of_exposed();
        }
        Ok(())
    }

    /// Checks the listener that has accepted a connection to `peer`, or to any address that is dialled.
    pub(super) fn check_connection(&self, peer: Option<SocketAddr>) -> Result<(), ListenerFault> {
        let addresses = self.reached(peer);
        if addresses.is_empty() {
            return Ok(());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = listeners::listening();
        let (mut count, before) = (0, known.own.len());
        for address in addresses {
            let served = self.verify_all(&listening, address, &mut known);
            count += served.map_err(ListenerFault::Foreign)?;
        }
        // The kernel shows no socket of this app, or the app has the listener that it had before.
        if (before == 0 && count == 0) || (count > 0 && known.own.len() == before) {
            Ok(())
        } else {
            Err(ListenerFault::Changed)
        }
    }

    /// The addresses of the app that `peer` is one of; `None`: those that are dialled now.
    fn reached(&self, peer: Option<SocketAddr>) -> Vec<SocketAddr> {
        let (own, given) = (self.addresses.own.as_ref(), self.addresses.given.iter().copied());
        let Some(peer) = peer else {
            return own.map(LoopbackPort::address).into_iter().chain(given).collect();
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let mut all = own.into_iter().flat_map(LoopbackPort::candidates).chain(given);
        all.find(|address| *address == peer).into_iter().collect()
    }

    /// The same as [`Self::check`], for an app that may still be starting.
    pub(crate) fn check_addresses(&self) -> Result<(), String> {
        if !self.has_addresses() {
            return Ok(());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = listeners::listening();
        for address in &self.addresses.given {
            self.verify_all(&listening, *address, &mut known)?;
        }
        self.addresses.own.as_ref().map_or(Ok(()), |own| self.choose(own, &listening, &mut known))
    }

    /// Chooses the address that is dialled: the present one while its listener belongs to the app,
    /// else the first one of which this is true. Another program may listen on the other address.
    fn choose(
        &self,
        own: &LoopbackPort,
        listening: &[Socket],
        known: &mut Known,
    ) -> Result<(), String> {
        let mut foreign = Ok(());
        for address in std::iter::once(own.address()).chain(own.candidates()) {
            match self.verify_all(listening, address, known) {
                Ok(0) => {}
                Ok(_) => {
                    own.choose(address);
                    return Ok(());
                }
                Err(reason) => foreign = foreign.and(Err(reason)),
            }
        }
        foreign
    }

    /// The number of sockets that serve an address, if all of them belong to the app.
    fn verify_all(
        &self,
        listening: &[Socket],
        address: SocketAddr,
        known: &mut Known,
    ) -> Result<usize, String> {
        let serving = listeners::serving(listening, address);
        for socket in &serving {
            self.verify(socket, address, known)?;
        }
        Ok(serving.len())
    }

    /// The addresses on which the app listens while nothing listens where it is expected. Looks at
    /// most once in [`LOOK_PAUSE`].
    pub(crate) fn elsewhere(&self) -> Vec<SocketAddr> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.elsewhere.as_ref().filter(|(at, _)| at.elapsed() < LOOK_PAUSE);
        if let Some((_, found)) = recent {
            return found.clone();
        }
        let listening = listeners::listening();
        let own = self.addresses.own.iter().flat_map(LoopbackPort::candidates);
        let mut expected = own.chain(self.addresses.given.iter().copied());
        let is_served = expected.any(|at| !listeners::serving(&listening, at).is_empty());
        let found = if is_served { Vec::new() } else { self.listening_at(|_| true) };
        known.elsewhere = Some((Instant::now(), found.clone()));
        found
    }

    fn listening_at(&self, wanted: fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        let families = self.reaper.families();
        let is_alone =
            self.uid != geteuid().as_raw() && self.reaper.runs_alone(&self.app, self.uid);
        let own_user = is_alone.then_some(self.uid);
        held::addresses(families.of_leader(self.leader.as_raw()), own_user, wanted)
    }

    fn verify(
        &self,
        socket: &Socket,
        address: SocketAddr,
        known: &mut Known,
    ) -> Result<(), String> {
        if known.own.contains(&socket.inode) {
            return Ok(());
        }
        if self.owns(socket) {
            known.own.insert(socket.inode);
            return Ok(());
        }
        let app = &self.app;
        let holder = match &known.foreign {
            Some((inode, holder)) if *inode == socket.inode => holder.clone(),
            _ => {
                let holder = holder::name(socket);
                tracing::warn!(%app, %address, holder, "another program listens on the app's port");
                known.foreign.insert((socket.inode, holder)).1.clone()
            }
        };
        Err(format!("{address} is held by {holder}, which is not a process of {app}"))
    }

    fn owns(&self, socket: &Socket) -> bool {
        let holds = |pid: i32| procfs::sockets(pid).any(|inode| inode == socket.inode);
        let families = self.reaper.families();
        if families.of_leader(self.leader.as_raw()).iter().any(|pid| holds(*pid)) {
            return true;
        }
        let is_other_app = |leader| self.reaper.app_of(leader).is_some_and(|app| app != self.app);
        socket.uid == self.uid
            && !families
                .of_others(self.leader.as_raw())
                .any(|(leader, pid)| is_other_app(leader) && holds(pid))
    }

    fn warn_of_exposed(&self) {
        for address in self.listening_at(|address| !address.ip().is_loopback()) {
            let app = &self.app;
            tracing::warn!(
                %app, %address,
                "app listens on an address that is reachable around the login; let it listen on 127.0.0.1"
            );
        }
    }
}
