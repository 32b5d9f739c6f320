//! Checks that the socket that listens on an app's address belongs to the app.
//!
//! It belongs to the app if a process of the app holds it, or if its user is the app's user and no
//! process of another app holds it. The inode of a verified socket is remembered: as long as the
//! socket does not change, a check only reads the few listening sockets of the machine.

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

/// The owner that the sockets of one incarnation must have.
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
    /// Inodes of sockets that belong to the app.
    own: HashSet<u64>,
    /// Inode and holder of the foreign socket that the log has named last.
    foreign: Option<(u64, String)>,
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

    /// Whether any address is checked.
    pub(crate) fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Fails with a reason for people if another program listens on an address of the app.
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
