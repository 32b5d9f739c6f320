//! Reads processes from `/proc`, including those that are not children of the appliance.

use std::fs;

/// State of a process at the moment of reading.
#[derive(Debug)]
pub(super) struct ProcessInfo {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// The process has ended but has not been reaped.
    pub(super) has_ended: bool,
}

/// All processes; none without a `/proc`.
pub(super) fn all() -> impl Iterator<Item = ProcessInfo> {
    let found = fs::read_dir("/proc").into_iter().flatten().flatten();
    found.filter_map(|entry| see(entry.file_name().to_str()?.parse().ok()?))
}

fn see(pid: i32) -> Option<ProcessInfo> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain any character, also parentheses and spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let has_ended = matches!(words.next()?, "Z" | "X");
    let mut number = || words.next()?.parse().ok();
    Some(ProcessInfo { pid, parent: number()?, group: number()?, has_ended })
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpgrp, getpid, getppid};

    use super::*;

    #[test]
    fn the_own_process_is_found() {
        let own = all().find(|process| process.pid == getpid().as_raw()).unwrap();
        assert_eq!((own.parent, own.group), (getppid().as_raw(), getpgrp().as_raw()));
        assert!(!own.has_ended);
    }
}
