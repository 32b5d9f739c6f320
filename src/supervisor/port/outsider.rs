//! Checks connections to programs that the appliance does not run, such as an `upstream` without a
//! `command`. On this machine, any app can listen at such an address while the program is down, and
//! would get the requests of people, or the secrets of a login.
//!
//! An app is recognised by its user, so one that runs as the appliance's user is not. The user counts whether
//! the app runs or not: a process that it has left behind may serve the address.

use std::fmt;
use std::future::ready;

use futures_util::future::BoxFuture;
use nix::unistd::geteuid;

use super::sock_diag;
use crate::config::{AppName, Config, Ends, ListenerCheck, ListenerFault};
use crate::supervisor::process::reaper::Reaper;

/// The check for one program.
pub(crate) struct Outsider {
    reaper: Reaper,
    /// What is reached at the address, for the error.
    what: String,
    /// Apps that may serve the address.
    named: Vec<AppName>,
    /// The ports that apps are meant to listen on.
    ports: Vec<(u16, AppName)>,
}

impl Outsider {
    /// `what` names the program. `named` are apps that may serve it, beside the one whose `port` it is.
    pub(crate) fn new(reaper: Reaper, what: String, named: Vec<AppName>, config: &Config) -> Self {
        let ports = config.apps.iter().flat_map(|app| {
            let ports = [app.port, app.second_port].into_iter().flatten();
            ports.map(|port| (port, app.name.clone()))
        });
        Self { reaper, what, named, ports: ports.collect() }
    }

    /// The app that serves the connection although it is not meant to.
    fn intruder(&self, ends: Ends) -> Option<AppName> {
        let (local, peer) = (ends.local.ip().to_canonical(), ends.peer.ip().to_canonical());
        if !peer.is_loopback() && peer != local {
            return None;
        }
        // Who has accepted the connection, and who would accept the next one: while it waits in the
        // queue of a listener, the kernel names no user of its own.
        let users = [sock_diag::user_of_far_end(ends), sock_diag::user_of_listener(ends.peer)];
        let others = users.into_iter().flatten().filter(|user| *user != geteuid().as_raw());
        others.map(|user| self.reaper.apps_with_user(user)).find_map(|apps| {
            // Apps may share a user: then it may be any of them.
            let is_expected = apps.iter().any(|app| self.expects(app, ends));
            apps.into_iter().next().filter(|_| !is_expected)
        })
    }

    fn expects(&self, app: &AppName, ends: Ends) -> bool {
        let is_it = |other: &AppName| other.app() == app.app();
        self.named.iter().any(is_it)
            || self.ports.iter().any(|(port, other)| *port == ends.peer.port() && is_it(other))
    }
}

impl ListenerCheck for Outsider {
    fn check(&self, connection: Ends) -> BoxFuture<'static, Result<(), ListenerFault>> {
        let checked = match self.intruder(connection) {
            None => Ok(()),
            Some(app) => {
                let (app, peer, what) = (app.app(), connection.peer, &self.what);
                Err(ListenerFault::Foreign(format!(
                    "the app {app} listens at {peer}, where {what} should be; if {app} serves it on \
                     purpose, give {app} the `port`, or name {app} in `after`"
                )))
            }
        };
        Box::pin(ready(checked))
    }
}

impl fmt::Debug for Outsider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outsider").field("what", &self.what).finish_non_exhaustive()
    }
}
