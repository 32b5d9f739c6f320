//! Finds the addresses on which the processes of an app listen.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::listeners;
use crate::supervisor::process::procfs::descriptors::{self, Budget};

/// The wanted addresses on which the processes listen. All sockets of `own_user` count as theirs: a
/// user that neither another app nor the appliance runs as.
pub(super) fn addresses(
    pids: &[i32],
    own_user: Option<u32>,
    wanted: fn(&SocketAddr) -> bool,
) -> Vec<SocketAddr> {
    let listening = listeners::listening();
    let mut listening = listening.iter().filter(|socket| wanted(&socket.address)).peekable();
    if listening.peek().is_none() {
        return Vec::new();
    }
    let mut budget = Budget::of_app();
    let held: HashSet<u64> =
        pids.iter().flat_map(|pid| descriptors::sockets(*pid, &mut budget)).collect();
    let theirs = listening
        .filter(|socket| held.contains(&socket.inode) || own_user == Some(socket.uid))
        .map(|socket| socket.address);
    let mut found: Vec<_> = theirs.collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn wanted_addresses_of_the_processes_are_found() {
        let us = [std::process::id().cast_signed()];
        for (bound, reachable) in [("0.0.0.0:0", true), ("[::]:0", true), ("127.0.0.1:0", false)] {
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let address = listener.local_addr().unwrap();
            let beyond = |address: &SocketAddr| !address.ip().is_loopback();
            assert_eq!(addresses(&us, None, beyond).contains(&address), reachable, "{bound}");
            assert!(!addresses(&[], None, beyond).contains(&address));
            let user = Some(nix::unistd::geteuid().as_raw());
            assert_eq!(addresses(&[], user, beyond).contains(&address), reachable, "{bound}");
        }
    }
}
