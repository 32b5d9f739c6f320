//! Reads which sockets processes have open, from `/proc`.
//!
//! A process can have a million descriptors, and each is one call. Therefore a look has a budget, in
//! descriptors and in time; beyond it, what the process holds cannot be told.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{as_user_of, threads};

/// Descriptors that one look reads. Ten times what a busy program has.
const MOST: u32 = 100_000;
/// How long one look takes.
const LONGEST: Duration = Duration::from_millis(500);

/// What is left of a look at the processes of one app.
#[derive(Debug)]
pub(crate) struct Budget {
    descriptors: u32,
    until: Instant,
}

impl Budget {
    /// For the processes of one app.
    pub(crate) fn of_app() -> Self {
        Self { descriptors: MOST, until: Instant::now() + LONGEST }
    }

    fn spend(&mut self) -> io::Result<()> {
        let is_left = self.descriptors > 0 && Instant::now() < self.until;
        self.descriptors = self.descriptors.saturating_sub(1);
        if is_left { Ok(()) } else { Err(ErrorKind::QuotaExceeded.into()) }
    }
}

/// Whether an error means that there are more descriptors than a look reads.
pub(crate) fn are_too_many(error: &io::Error) -> bool {
    error.kind() == ErrorKind::QuotaExceeded
}

/// Whether a process has the socket with this inode open. Fails if the process does not let its user
/// see that (it is not dumpable), or if the budget is spent.
pub(crate) fn holds(pid: i32, inode: u64, budget: &mut Budget) -> io::Result<bool> {
    let mut found = false;
    as_user_of(pid, || {
        read(pid, budget, |seen| {
            found |= seen == inode;
            !found
        })
    })?;
    Ok(found)
}

/// Inodes of the sockets that a process has open, as far as the budget goes.
pub(crate) fn sockets(pid: i32, budget: &mut Budget) -> Vec<u64> {
    let mut found = Vec::new();
    let _ = as_user_of(pid, || {
        read(pid, budget, |seen| {
            found.push(seen);
            true
        })
    });
    found
}

/// Passes on the inodes until `goes_on` says no.
fn read(pid: i32, budget: &mut Budget, mut goes_on: impl FnMut(u64) -> bool) -> io::Result<()> {
    let mut descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::peekable);
    if let Ok(first) = &mut descriptors
        && first.peek().is_some()
    {
        return read_table(first, budget, &mut goes_on).map(drop);
    }
    // Each thread may have descriptors of its own.
    let mut told = descriptors.map(drop);
    for thread in threads::beyond_first(pid) {
        budget.spend()?;
        let table = fs::read_dir(thread.join("fd"));
        match table.and_then(|table| read_table(table, budget, &mut goes_on)) {
            Ok(true) => told = Ok(()),
            Ok(false) => return Ok(()),
            Err(error) => told = Err(error),
        }
        if told.as_ref().is_err_and(are_too_many) {
            break;
        }
    }
    told
}

/// Whether to go on with the next table.
fn read_table(
    descriptors: impl Iterator<Item = io::Result<DirEntry>>,
    budget: &mut Budget,
    goes_on: &mut impl FnMut(u64) -> bool,
) -> io::Result<bool> {
    for entry in descriptors {
        budget.spend()?;
        match fs::read_link(entry?.path()) {
            Ok(link) => {
                if socket_inode(&link).is_some_and(|inode| !goes_on(inode)) {
                    return Ok(false);
                }
            }
            Err(denied) if denied.kind() == ErrorKind::PermissionDenied => return Err(denied),
            // It was closed meanwhile.
            Err(_) => {}
        }
    }
    Ok(true)
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn sockets_of_a_process_are_read() {
        let us = std::process::id().cast_signed();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = socket_inode(&link).unwrap();
        assert!(sockets(us, &mut Budget::of_app()).contains(&inode));
        assert!(holds(us, inode, &mut Budget::of_app()).unwrap());
        assert!(!holds(us, u64::MAX, &mut Budget::of_app()).unwrap());
        let gone = holds(i32::MAX, inode, &mut Budget::of_app()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        assert_eq!(socket_inode(Path::new("pipe:[7]")), None);
    }

    #[test]
    fn a_look_ends_with_its_budget() {
        let us = std::process::id().cast_signed();
        let full = Budget::of_app;
        let later = Instant::now() + LONGEST;
        for (mut budget, is_spent) in [
            (full(), false),
            (Budget { descriptors: 2, until: later }, true),
            (Budget { descriptors: MOST, until: Instant::now() }, true),
        ] {
            let told = holds(us, u64::MAX, &mut budget);
            assert_eq!(told.as_ref().is_err_and(are_too_many), is_spent, "{told:?} {budget:?}");
            // The next process of the app gets no budget of its own.
            let told = holds(us, u64::MAX, &mut budget);
            assert_eq!(told.as_ref().is_err_and(are_too_many), is_spent, "{told:?} {budget:?}");
        }
    }
}
