//! Reads processes from `/proc`, including those that are not children of the appliance.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::unistd::{Gid, Uid, geteuid, getpid, setfsgid, setfsuid};

/// State of a process at the moment of reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// The process has ended but has not been reaped.
    pub(crate) has_ended: bool,
    /// Processor time of the process, and of its children that it has waited for, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// When the process was started, in clock ticks after the boot of the machine.
    pub(crate) started_ticks: u64,
}

/// All processes; none without a `/proc`.
pub(crate) fn all() -> impl Iterator<Item = ProcessInfo> {
    let found = fs::read_dir("/proc").into_iter().flatten().flatten();
    found.filter_map(|entry| see(entry.file_name().to_str()?.parse().ok()?))
}

/// All processes by PID.
pub(crate) fn snapshot() -> HashMap<i32, ProcessInfo> {
    all().map(|process| (process.pid, process)).collect()
}

/// One process; `None` if no process has that PID.
pub(crate) fn see(pid: i32) -> Option<ProcessInfo> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain any character, also parentheses and spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let has_ended = matches!(words.next()?, "Z" | "X");
    let mut number = || words.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // From the terminal to the page faults; then the processor time (own and of children, in user
    // and system mode), the priorities, the number of threads and an unused number.
    let mut ticks = words.skip(7).map(|word| word.parse::<u64>().ok());
    let cpu_ticks = ticks.by_ref().take(4).sum::<Option<u64>>()?;
    let started_ticks = ticks.nth(4)??;
    Some(ProcessInfo { pid, parent, group, session, has_ended, cpu_ticks, started_ticks })
}

/// Memory of a process in bytes: its proportional set size, in which a page that several processes
/// share counts in parts. The resident set size where the kernel does not tell the former. `None` if
/// the process is gone.
pub(crate) fn memory(pid: i32) -> Option<u64> {
    as_user_of(pid, || proportional_set(pid)).ok().or_else(|| resident_set(pid))
}

fn proportional_set(pid: i32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    proportional_of(&rollup).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn proportional_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn resident_set(pid: i32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let resident: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    resident.checked_mul(rustix::param::page_size() as u64)
}

/// The children of the appliance. Where the kernel does not list children, all processes are read.
pub(super) fn children() -> Vec<i32> {
    let us = getpid().as_raw();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")));
    match lists.collect::<Result<Vec<_>, _>>() {
        Ok(lists) if !lists.is_empty() => {
            let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
            pids.filter_map(|pid| pid.parse().ok()).collect()
        }
        _ => all().filter(|process| process.parent == us).map(|process| process.pid).collect(),
    }
}

/// The real user of a process; `None` if it is gone.
pub(crate) fn real_user(pid: i32) -> Option<u32> {
    status_number(pid, "Uid:")
}

fn status_number(pid: i32, name: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Name of the program that a process runs.
pub(crate) fn program(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Inodes of the sockets that a process has open. Fails if the process does not let its user see
/// them: it is not dumpable.
pub(crate) fn sockets(pid: i32) -> io::Result<Vec<u64>> {
    as_user_of(pid, || read_sockets(pid))
}

/// Reads a file of a process, if need be as the user of the process.
fn as_user_of<T>(pid: i32, read: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match read() {
        // Root in a container often lacks the capability to look at processes of other users.
        Err(denied) if denied.kind() == ErrorKind::PermissionDenied && geteuid().is_root() => {
            let _as_user = FileUser::of(pid).ok_or(denied)?;
            read()
        }
        read => read,
    }
}

fn read_sockets(pid: i32) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        match fs::read_link(entry?.path()) {
            Ok(link) => found.extend(socket_inode(&link)),
            Err(denied) if denied.kind() == ErrorKind::PermissionDenied => return Err(denied),
            // It was closed meanwhile.
            Err(_) => {}
        }
    }
    Ok(found)
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// While this lives, the calling thread opens files as the user of a process.
struct FileUser {
    uid: Uid,
    gid: Gid,
}

impl FileUser {
    fn of(pid: i32) -> Option<Self> {
        let (uid, gid) = (status_number(pid, "Uid:")?, status_number(pid, "Gid:")?);
        let gid = setfsgid(gid.into());
        Some(Self { gid, uid: setfsuid(uid.into()) })
    }
}

impl Drop for FileUser {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use nix::unistd::{getpgrp, getppid, getsid, getuid};

    use super::*;

    #[test]
    fn the_own_process_is_found() {
        let own = all().find(|process| process.pid == getpid().as_raw()).unwrap();
        assert_eq!((own.parent, own.group), (getppid().as_raw(), getpgrp().as_raw()));
        assert_eq!(own.session, getsid(None).unwrap().as_raw());
        assert!(!own.has_ended);
        assert_eq!(real_user(own.pid), Some(getuid().as_raw()));
        assert!(program(own.pid).is_some() && see(i32::MAX).is_none());
        assert!(own.started_ticks > 0);
        assert!(memory(own.pid).is_some_and(|bytes| bytes > 1 << 20) && memory(i32::MAX).is_none());
    }

    #[test]
    fn the_proportional_set_size_is_read() {
        let rollup = "00400000-7fff000 ---p 00000000 00:00 0 [rollup]\n\
                      Rss:     7000 kB\nPss:      2345 kB\nPss_Dirty:   100 kB\n";
        assert_eq!(proportional_of(rollup), Some(2345 * 1024));
        for bad in ["", "Rss: 7 kB\n", "Pss:\n", "Pss: many kB\n"] {
            assert_eq!(proportional_of(bad), None, "{bad:?}");
        }
        let pages = resident_set(getpid().as_raw()).unwrap();
        assert!(pages > 1 << 20, "{pages}");
    }

    #[test]
    fn sockets_of_a_process_are_read() {
        let us = getpid().as_raw();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        assert!(sockets(us).unwrap().contains(&socket_inode(&link).unwrap()));
        assert_eq!(sockets(i32::MAX).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(socket_inode(Path::new("pipe:[7]")), None);
    }
}
