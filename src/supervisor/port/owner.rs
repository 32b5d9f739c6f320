//! Checks that the socket that listens on an app's address belongs to the app.
//!
//! It belongs to the app if a process of the app is seen to hold it. If the app is the only one with
//! its user, and that is not the appliance's user, the socket's user proves the same, unless a process
//! of another app is seen to hold it. A user that others share proves nothing: a process can hide what
//! it holds from its own user; only an `upstream` of the file with another port than the app's
//! `port` counts by its user. The inode of a verified socket is remembered while it listens: as long
//! as the socket does not change, a check only reads the few sockets that listen at the app's addresses.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, geteuid};

use super::address::port;
use super::address::{Dialled, dialled};
use super::listeners::Socket;
use super::sock_diag::{self, FarEnd};
use super::{claim, held, holder, listeners};
use crate::config::{App, AppName, Ends, ListenerFault, LoopbackPort, Upstream};
use crate::supervisor::process::procfs;
use crate::supervisor::process::procfs::descriptors::{self, Budget, are_too_many};
use crate::supervisor::process::reaper::Reaper;

/// Pause between two looks at the sockets of an app that does not listen on its port.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How often the holder of a connection is looked for.
const LOOKS: u32 = 3;

/// The owner that the sockets of one incarnation must have.
#[derive(Debug)]
pub(crate) struct Owner {
    app: AppName,
    routed: bool,
    /// The port that is the app's own.
    port: Option<u16>,
    addresses: Dialled,
    leader: Pid,
    uid: u32,
    reaper: Reaper,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Inodes of sockets that listen and belong to the app.
    own: HashSet<u64>,
    /// Addresses of the file where the app itself has been seen to listen.
    served: HashSet<SocketAddr>,
    /// Inode of the last socket that did not belong to the app, and why, as the log says it.
    foreign: Option<(u64, String)>,
    looked_for_exposed: bool,
    warned_of_accepted: bool,
    /// When [`Owner::elsewhere`] has looked last, and what it found.
    elsewhere: Option<(Instant, Vec<SocketAddr>)>,
}

impl Known {
    /// An inode number may be used again for the socket of another program.
    fn forget_closed(&mut self, listening: &[Socket]) {
        self.own.retain(|inode| listening.iter().any(|socket| socket.inode == *inode));
    }
}

/// Who holds a socket.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The app.
    Own,
    /// Another program, as far as can be seen.
    Foreign,
    /// Perhaps this process of the app, which hides what it holds.
    Hidden(i32),
    /// Perhaps this process of the app: it has more descriptors than a look reads.
    Untold(i32),
}

impl Owner {
    pub(crate) fn new(app: &App, leader: Pid, uid: u32, reaper: Reaper) -> Self {
        Self {
            app: app.name.clone(),
            routed: app.route.is_some(),
            port: app.port,
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
        self.look_for_exposed();
        Ok(())
    }

    /// The same for an app that has answered a question at one of these addresses: a program that
    /// listens for a moment, while the app does not listen, may have answered in its place.
    pub(crate) fn check_answer(&self, asked: &[Upstream]) -> Result<(), String> {
        self.look(|listening, known| self.check_served(asked, listening, known))?;
        self.look_for_exposed();
        Ok(())
    }

    /// Fails if nothing listens at the addresses that were asked.
    fn check_served(
        &self,
        asked: &[Upstream],
        listening: &[Socket],
        known: &mut Known,
    ) -> Result<(), String> {
        let addresses = self.asked(asked);
        if addresses.is_empty() {
            return Ok(());
        }
        for address in &addresses {
            if self.verify_all(listening, *address, known)? > 0 {
                return Ok(());
            }
        }
        let places: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Err(format!("{}: something has answered that no longer listens there", places.join(", ")))
    }

    fn look_for_exposed(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.routed && !std::mem::replace(&mut known.looked_for_exposed, true) {
            self.warn_of_exposed();
        }
    }

    /// The addresses of the app among these. Of its two loopback addresses, the one that is dialled:
    /// another program may listen on the other one.
    fn asked(&self, asked: &[Upstream]) -> Vec<SocketAddr> {
        let own = self.addresses.own.iter().map(LoopbackPort::address);
        let all = own.chain(self.addresses.given.iter().copied());
        let is_asked =
            |address: &SocketAddr| asked.iter().any(|one| port(one) == Some(address.port()));
        all.filter(is_asked).collect()
    }

    /// Whether a connection has certainly reached the app, as far as that is known without a look at
    /// processes.
    pub(super) fn is_known_to_serve(&self, connection: Ends) -> bool {
        let Ok(known) = self.known.try_lock() else { return false };
        self.reached(connection.peer).is_some_and(|address| self.still_listens(address, &known))
            && !self.may_be_accepted_by_another(connection, &known)
    }

    /// Checks who has accepted a connection. May look at all descriptors of the app's processes.
    pub(super) fn check_connection(&self, connection: Ends) -> Result<(), ListenerFault> {
        let Some(address) = self.reached(connection.peer) else {
            return self.check_elsewhere(connection.peer);
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.still_listens(address, &known) {
            // The kernel may show no sockets at all.
            let Some(listening) = self.listening() else { return Ok(()) };
            known.forget_closed(&listening);
            let before = known.own.len();
            let served = self.verify_all(&listening, address, &mut known);
            let count = served.map_err(ListenerFault::Foreign)?;
            if count == 0 || known.own.len() != before {
                return Err(ListenerFault::Changed);
            }
        }
        self.check_accepted(connection, &mut known)
    }

    /// Whether the one socket that can serve an address is known to belong to the app. The usual case,
    /// which takes as long however many sockets listen on the machine.
    fn still_listens(&self, address: SocketAddr, known: &Known) -> bool {
        let is_own = sock_diag::listener(address).is_some_and(|inode| known.own.contains(&inode));
        // A user that others share may share the port with them, too.
        is_own && (self.has_own_user() || !claim::can_be_joined(address))
    }

    /// A connection to none of the app's addresses. An address on another machine is not checked. One
    /// on loopback was the app's under an earlier configuration: another program may have it now.
    fn check_elsewhere(&self, peer: SocketAddr) -> Result<(), ListenerFault> {
        if self.has_addresses() && peer.ip().to_canonical().is_loopback() {
            let app = &self.app;
            return Err(ListenerFault::Foreign(format!("{peer} is no address of {app} any more")));
        }
        Ok(())
    }

    /// Another process of the user can join a port that is shared (`SO_REUSEPORT`), accept a
    /// connection and leave the port again before the listeners are looked at. Such a connection is
    /// seen to be held by the app, or it waits for one of these listeners.
    fn check_accepted(&self, ends: Ends, known: &mut Known) -> Result<(), ListenerFault> {
        if !self.may_be_accepted_by_another(ends, known) {
            return Ok(());
        }
        // A process may be passing the connection on to another one.
        for _ in 0..LOOKS {
            match sock_diag::far_end(ends) {
                None | Some(FarEnd::Waiting) => return Ok(()),
                Some(FarEnd::Gone) => return Err(ListenerFault::Changed),
                Some(FarEnd::Accepted(inode)) => {
                    if self.look_for(inode) == Found::Own {
                        return Ok(());
                    }
                }
            }
        }
        if !std::mem::replace(&mut known.warned_of_accepted, true) {
            let (app, address) = (&self.app, ends.peer);
            tracing::warn!(%app, %address, "another program has accepted a connection to the app's port");
        }
        Err(ListenerFault::Changed)
    }

    /// Whether a process that is not the app's may have accepted a connection to the app's listener.
    fn may_be_accepted_by_another(&self, ends: Ends, known: &Known) -> bool {
        let shares_user = self.uid != geteuid().as_raw();
        let trusted = self.has_own_user() || self.may_be_elsewhere(ends.peer, known);
        !trusted && (shares_user || claim::can_be_joined(ends.peer))
    }

    /// The address of the app that a connection to `peer` has reached.
    fn reached(&self, peer: SocketAddr) -> Option<SocketAddr> {
        let own = self.addresses.own.iter().flat_map(LoopbackPort::candidates);
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        own.chain(self.addresses.given.iter().copied()).find(|address| *address == peer)
    }

    /// The same as [`Self::check`], for an app that may still be starting.
    pub(crate) fn check_addresses(&self) -> Result<(), String> {
        self.look(|_, _| Ok(()))
    }

    /// Checks the addresses of the app, and asks `then` about the same listeners.
    fn look(
        &self,
        then: impl FnOnce(&[Socket], &mut Known) -> Result<(), String>,
    ) -> Result<(), String> {
        if !self.has_addresses() {
            return Ok(());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listening) = self.listening() else { return Ok(()) };
        known.forget_closed(&listening);
        for address in &self.addresses.given {
            self.verify_all(&listening, *address, &mut known)?;
        }
        if let Some(own) = &self.addresses.own {
            self.choose(own, &listening, &mut known)?;
        }
        then(&listening, &mut known)
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
        self.look_for_own(&serving, address, known);
        for socket in &serving {
            self.verify(socket, address, known)?;
        }
        Ok(serving.len())
    }

    /// Once the app itself has been seen to listen at an address of the file, no other program counts
    /// there.
    fn look_for_own(&self, serving: &[Socket], address: SocketAddr, known: &mut Known) {
        let is_new = serving.iter().any(|socket| !known.own.contains(&socket.inode));
        if is_new
            && self.is_given_elsewhere(address)
            && !known.served.contains(&address)
            && serving.iter().any(|socket| self.look_for(socket.inode) == Found::Own)
        {
            known.served.insert(address);
            known.own.clear();
        }
    }

    /// Where the app is expected to listen.
    fn expected(&self) -> Vec<SocketAddr> {
        let own = self.addresses.own.iter().flat_map(LoopbackPort::candidates);
        own.chain(self.addresses.given.iter().copied()).collect()
    }

    /// The sockets that listen there; `None` if the kernel shows no sockets at all.
    fn listening(&self) -> Option<Vec<Socket>> {
        listeners::listening_at(&self.expected())
    }

    /// The addresses on which the app listens while nothing listens where it is expected. Looks at
    /// most once in [`LOOK_PAUSE`].
    pub(crate) fn elsewhere(&self) -> Vec<SocketAddr> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.elsewhere.as_ref().filter(|(at, _)| at.elapsed() < LOOK_PAUSE);
        if let Some((_, found)) = recent {
            return found.clone();
        }
        let expected = self.expected();
        let listening = listeners::listening_at(&expected).unwrap_or_default();
        let is_served = expected.iter().any(|at| !listeners::serving(&listening, *at).is_empty());
        let found = if is_served { Vec::new() } else { self.listening_at(|_| true) };
        known.elsewhere = Some((Instant::now(), found.clone()));
        found
    }

    fn listening_at(&self, wanted: fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        let families = self.reaper.glance();
        let own_user = self.has_own_user().then_some(self.uid);
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
        let may_be_elsewhere = self.may_be_elsewhere(address, known);
        let found = self.look_for_holder(socket, may_be_elsewhere);
        if found == Found::Own {
            known.own.insert(socket.inode);
            return Ok(());
        }
        let why = match &known.foreign {
            Some((inode, why)) if *inode == socket.inode => why.clone(),
            _ => {
                known.foreign.insert((socket.inode, self.report(socket, address, &found))).1.clone()
            }
        };
        Err(format!("{address} is held by {why}"))
    }

    /// Logs that the app does not hold the socket, and says the same for the reason.
    fn report(&self, socket: &Socket, address: SocketAddr, found: &Found) -> String {
        let (app, holder) = (&self.app, holder::name(socket));
        let process = |pid| format!("{} (pid {pid})", procfs::program(pid).unwrap_or_default());
        match found {
            Found::Hidden(pid) => {
                let process = process(*pid);
                tracing::warn!(
                    %app, %address, holder, process,
                    "the listener on the app's port cannot be recognised: a process of the app hides \
                     its open files (it is not dumpable), and the app shares its user with others; \
                     give the app a user of its own"
                );
                format!(
                    "{holder}, which cannot be recognised as {app}: {process} hides its open files, \
                     and {app} has no user of its own"
                )
            }
            Found::Untold(pid) => {
                let process = process(*pid);
                tracing::warn!(
                    %app, %address, holder, process,
                    "the listener on the app's port cannot be recognised: a process of the app has \
                     too many open files to look at; let it open its port first, or give the app a \
                     user of its own"
                );
                format!(
                    "{holder}, which cannot be recognised as {app}: {process} has too many open \
                     files to look at"
                )
            }
            Found::Own | Found::Foreign => {
                tracing::warn!(%app, %address, holder, "another program listens on the app's port");
                format!("{holder}, which is not a process of {app}")
            }
        }
    }

    /// Whether a process of the app is seen to hold a socket.
    fn look_for(&self, inode: u64) -> Found {
        let families = self.reaper.glance();
        let (mut unclear, mut budget) = (Found::Foreign, Budget::of_app());
        for pid in families.of_leader(self.leader.as_raw()) {
            match descriptors::holds(*pid, inode, &mut budget) {
                Ok(true) => return Found::Own,
                Err(error) if are_too_many(&error) => return Found::Untold(*pid),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    unclear = Found::Hidden(*pid);
                }
                Ok(false) | Err(_) => {}
            }
        }
        unclear
    }

    fn look_for_holder(&self, socket: &Socket, may_be_elsewhere: bool) -> Found {
        let found = self.look_for(socket.inode);
        if found == Found::Own || !(self.has_own_user() || may_be_elsewhere) {
            return found;
        }
        let families = self.reaper.glance();
        let is_other_app = |leader| self.reaper.app_of(leader).is_some_and(|app| app != self.app);
        let mut budgets = HashMap::new();
        // Each app has a budget of its own: one with many descriptors does not hide another.
        let mut holds = |leader, pid| {
            let budget = budgets.entry(leader).or_insert_with(Budget::of_app);
            descriptors::holds(pid, socket.inode, budget).unwrap_or(false)
        };
        let mut others = families.of_others(self.leader.as_raw());
        let is_theirs = others.any(|(leader, pid)| is_other_app(leader) && holds(leader, pid));
        if socket.uid == self.uid && !is_theirs { Found::Own } else { Found::Foreign }
    }

    /// Whether the file names the address as an `upstream`: a program that the app has asked for, but
    /// not started itself, may serve it, for example a container.
    fn may_be_elsewhere(&self, address: SocketAddr, known: &Known) -> bool {
        self.is_given_elsewhere(address) && !known.served.contains(&address)
    }

    fn is_given_elsewhere(&self, address: SocketAddr) -> bool {
        self.addresses.given.contains(&address) && Some(address.port()) != self.port
    }

    /// Whether neither the appliance nor another app that runs has the app's user.
    fn has_own_user(&self) -> bool {
        self.uid != geteuid().as_raw() && self.reaper.runs_alone(&self.app, self.uid)
    }

    /// Looks of other threads wait until the guard is dropped.
    #[cfg(test)]
    pub(super) fn busy(&self) -> impl Drop + '_ {
        self.known.lock().unwrap()
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
