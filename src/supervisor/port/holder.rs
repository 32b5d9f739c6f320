//! Names the program that holds a socket, with its PID if `/proc` shows it, else its user.

use nix::unistd::{Uid, User};

use super::listeners::Socket;
use crate::supervisor::process::procfs;
use crate::supervisor::process::procfs::descriptors::{self, Budget};

/// The holder of a socket, for people: `python3 (pid 4711, user nobody)`.
pub(super) fn name(socket: &Socket) -> String {
    let user = user(socket.uid);
    // One budget for all: a name for people is not worth more.
    let mut budget = Budget::of_app();
    let holds = |pid: &i32| descriptors::holds(*pid, socket.inode, &mut budget).unwrap_or(false);
    let pid = procfs::all().filter(|seen| !seen.has_ended).map(|seen| seen.pid).find(holds);
    match pid {
        Some(pid) => {
            let program = procfs::program(pid).unwrap_or_else(|| "a program".to_owned());
            format!("{program} (pid {pid}, {user})")
        }
        None => format!("a process of {user}"),
    }
}

fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user {}", user.name),
        _ => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::supervisor::port::listeners;

    #[test]
    fn a_holder_is_named_by_pid_and_program_else_by_its_user() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = listeners::listening().into_iter().find(|one| one.address == address).unwrap();
        let named = name(&found);
        assert!(named.contains(&format!("(pid {}, user ", std::process::id())), "{named}");
        let gone = Socket { inode: u64::MAX, uid: 424_242, ..found };
        assert_eq!(name(&gone), "a process of uid 424242");
    }
}
