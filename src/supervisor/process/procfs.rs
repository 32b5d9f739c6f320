//! What `/proc` shows of processes: those that are no children of ours, too.

use std::fs;

/// A process as it was when it was looked at.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// It has ended, though nobody has waited for it yet.
    pub(super) has_ended: bool,
}

/// All that there are; none without a `/proc`.
pub(super) fn all() -> impl Iterator<Item = Seen> {
    let found = fs::read_dir("/proc").into_iter().flatten().flatten();
    found.filter_map(|entry| see(entry.file_name().to_str()?.parse().ok()?))
}

fn see(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses and blanks too.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let has_ended = matches!(words.next()?, "Z" | "X");
    let mut number = || words.next()?.parse().ok();
    Some(Seen { pid, parent: number()?, group: number()?, has_ended })
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpgrp, getpid, getppid};

    use super::*;

    #[test]
    fn we_are_among_them() {
        let us = all().find(|seen| seen.pid == getpid().as_raw()).unwrap();
        assert_eq!((us.parent, us.group), (getppid().as_raw(), getpgrp().as_raw()));
        assert!(!us.has_ended);
    }
}
