//! Whether the listener behind an app's address is the app's own.
//!
//! It is, when a process of the app holds it, or when its user is the app's and no other app's
//! process holds it. A listener that was found to be the app's own is known by its inode from
//! then on: an unchanged one costs a look at the few listening sockets of the machine.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Pid, geteuid};

use super::address::dialled;
use super::listeners::Socket;
use super::{exposed, holder, listeners};
use crate::config::{App, AppName};
use crate::supervisor::process::procfs;
use crate::supervisor::process::reaper::Reaper;

/// What one incarnation of an app may call its own.
#[derive(Debug)]
pub(crate) struct Owner {
    app: AppName,
    routed: bool,
    addresses: Vec<SocketAddr>,
    leader: Pid,
    uid: u32,
    reaper: Reaper,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    own: HashSet<u64>,
    /// The holder that the log names already.
    foreign: Option<u64>,
    looked_for_exposed: bool,
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

    /// Whether anything is dialled whose owner could be another.
    pub(crate) fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// An error, for people, when another program listens where the app should.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_addresses() {
            let listening = listeners::listening();
            for address in &self.addresses {
                for socket in listeners::serving(&listening, *address) {
                    self.verify(&socket, *address, &mut known)?;
                }
            }
        }
        if self.routed && !known.looked_for_exposed {
            known.looked_for_exposed = true;
            self.warn_of_exposed();
        }
        Ok(())
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
        let holder = holder::name(socket);
        if known.foreign.replace(socket.inode) != Some(socket.inode) {
            let app = &self.app;
            tracing::warn!(%app, %address, holder, "another program listens on the app's port");
        }
        Err(format!("{address} is held by {holder}, which is no process of {}", self.app))
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
        let families = self.reaper.families();
        let is_alone =
            self.uid != geteuid().as_raw() && self.reaper.runs_alone(&self.app, self.uid);
        let own_user = is_alone.then_some(self.uid);
        let pids = families.of_leader(self.leader.as_raw());
        for address in exposed::addresses(pids, own_user) {
            let app = &self.app;
            tracing::warn!(
                %app, %address,
                "app listens on an address that is reachable around the login; let it listen on 127.0.0.1"
            );
        }
    }
}
