//! Reads processes from `/proc`, including those that are not children of the appliance.
//!
//! ```text
//! descriptors → mod → threads
//! ```

pub(crate) mod descriptors;
mod threads;

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Pid, Uid, geteuid, getpgid, getpid, getsid, setfsgid, setfsuid};

/// State of a process at the moment of reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// All threads of the process have ended, but it has not been reaped.
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

/// One process; `None` if no process has that PID. What `/proc` does not tell, the kernel is asked for:
/// a process that runs must not be taken for one that has ended.
pub(crate) fn see(pid: i32) -> Option<ProcessInfo> {
    let stat = fs::read(format!("/proc/{pid}/stat"));
    if stat.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return None;
    }
    stat.ok().and_then(|stat| parse(pid, &stat)).or_else(|| ask(pid))
}

/// The same without `/proc`. Of a process that is not a child of the appliance, neither the parent nor
/// its end is known.
fn ask(pid: i32) -> Option<ProcessInfo> {
    let process = Some(Pid::from_raw(pid));
    let (group, session) = (getpgid(process).ok()?.as_raw(), getsid(process).ok()?.as_raw());
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let child = waitid(Id::Pid(Pid::from_raw(pid)), peek);
    let parent = if child.is_ok() { getpid().as_raw() } else { 0 };
    let has_ended = matches!(child, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)));
    Some(ProcessInfo { pid, parent, group, session, has_ended, cpu_ticks: 0, started_ticks: 0 })
}

/// The name may contain any byte: a process can give itself one that is not UTF-8.
fn parse(pid: i32, stat: &[u8]) -> Option<ProcessInfo> {
    // The name in parentheses may also contain parentheses and spaces.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let is_first_over = matches!(words.next()?, "Z" | "X");
    let mut number = || words.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // From the terminal to the page faults; then the processor time (own and of children, in user
    // and system mode), the two priorities, the number of threads and an unused number.
    let mut ticks = words.skip(7).map(|word| word.parse::<u64>().ok());
    let cpu_ticks = ticks.by_ref().take(4).sum::<Option<u64>>()?;
    // The state is that of the first thread, which counts until the process is reaped. Other threads may
    // run on.
    let threads = ticks.nth(2)??;
    let started_ticks = ticks.nth(1)??;
    let has_ended = is_first_over && threads <= 1;
    Some(ProcessInfo { pid, parent, group, session, has_ended, cpu_ticks, started_ticks })
}

/// Whether a process is stopped (SIGSTOP), or traced by another one and stopped for it.
pub(super) fn is_stopped(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let name_end = stat.iter().rposition(|byte| *byte == b')').unwrap_or_default();
    stat.get(name_end..).is_some_and(|rest| matches!(rest, [b')', b' ', b'T' | b't', ..]))
}

/// Memory of a process in bytes: its proportional set size, in which a page that several processes
/// share counts in parts. The resident set size where the kernel does not tell the former. `None` if
/// the process is gone.
pub(crate) fn memory(pid: i32) -> Option<u64> {
    as_user_of(pid, || proportional_set(pid)).ok().or_else(|| resident_set(pid))
}

fn proportional_set(pid: i32) -> io::Result<u64> {
    let mut told = proportional_set_at(Path::new(&format!("/proc/{pid}")));
    if told.is_err() {
        for thread in threads::beyond_first(pid) {
            told = proportional_set_at(&thread);
            if told.is_ok() {
                break;
            }
        }
    }
    told
}

fn proportional_set_at(folder: &Path) -> io::Result<u64> {
    let rollup = fs::read_to_string(folder.join("smaps_rollup"))?;
    proportional_of(&rollup).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn proportional_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn resident_set(pid: i32) -> Option<u64> {
    resident(pid).map(|(all, _)| all)
}

/// Memory of several processes in bytes, from numbers that the kernel has at hand: no process can make it
/// wait. What the largest process shares with others counts once. `None` if all are gone.
pub(crate) fn rough_memory(pids: &[i32]) -> Option<u64> {
    rough_sum(pids.iter().filter_map(|pid| resident(*pid)))
}

/// Of processes with these resident and shared bytes.
fn rough_sum(processes: impl Iterator<Item = (u64, u64)>) -> Option<u64> {
    let (mut largest, mut own) = (None, 0_u64);
    for (all, shared) in processes {
        largest = largest.max(Some(shared));
        own = own.saturating_add(all.saturating_sub(shared));
    }
    largest.map(|shared: u64| own.saturating_add(shared))
}

/// The resident set size of a process, and the part of it that has a file or is shared memory.
fn resident(pid: i32) -> Option<(u64, u64)> {
    let first = resident_at(Path::new(&format!("/proc/{pid}")))?;
    let has_memory = |(all, _): &(u64, u64)| *all > 0;
    if has_memory(&first) {
        return Some(first);
    }
    let mut others = threads::beyond_first(pid);
    others.find_map(|thread| resident_at(&thread).filter(has_memory)).or(Some(first))
}

fn resident_at(folder: &Path) -> Option<(u64, u64)> {
    let pages = fs::read_to_string(folder.join("statm")).ok()?;
    let mut words = pages.split_ascii_whitespace().skip(1);
    let mut bytes = || {
        let pages: u64 = words.next()?.parse().ok()?;
        pages.checked_mul(rustix::param::page_size() as u64)
    };
    Some((bytes()?, bytes()?))
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

/// Whether the real or the saved user of a process is this one: then a process of this user may signal it.
pub(super) fn has_user(pid: i32, uid: u32) -> bool {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    [0, 2].into_iter().any(|at| numbers_in(&status, "Uid:").nth(at) == Some(uid))
}

fn status_number(pid: i32, name: &str) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    number_in(&status, name)
}

fn number_in(status: &[u8], name: &str) -> Option<u32> {
    numbers_in(status, name).next()
}

/// The first line, `Name:`, may contain any byte but a line feed.
fn numbers_in(status: &[u8], name: &str) -> impl Iterator<Item = u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(name.as_bytes()));
    let text = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    text.split_ascii_whitespace().map_while(|word| word.parse().ok())
}

/// Name of the program that a process runs.
pub(crate) fn program(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Reads a file of a process, if need be as the user of the process.
pub(super) fn as_user_of<T>(pid: i32, mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        // Root in a container often lacks the capability to look at processes of other users.
        Err(denied) if denied.kind() == ErrorKind::PermissionDenied && geteuid().is_root() => {
            let _as_user = FileUser::of(pid).ok_or(denied)?;
            read()
        }
        read => read,
    }
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
    use nix::unistd::{getpgrp, getppid, getuid};

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::shell_command;

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
    fn a_process_is_read_whatever_its_name_is() {
        let rest = b" S 7 8 9 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 555 1 1";
        for name in [
            &b"plain"[..],
            b"\xff\xfe",
            b"abfall-kalend\xc3",
            b") R 1 1 1 (",
            b"a b) Z",
            b"",
            "größe".as_bytes(),
        ] {
            let stat = [b"42 (", name, b")", &rest[..]].concat();
            let seen = parse(42, &stat).unwrap();
            assert_eq!((seen.parent, seen.group, seen.session), (7, 8, 9), "{name:?}");
            assert_eq!((seen.cpu_ticks, seen.started_ticks, seen.has_ended), (100, 555, false));
            let status = [b"Name:\t", name, b"\nUmask:\t0022\nUid:\t7\t8\t8\t8\n"].concat();
            assert_eq!(number_in(&status, "Uid:"), Some(7), "{name:?}");
        }
        assert!(parse(42, b"42 (name S 7 8 9").is_none());
    }

    #[test]
    fn a_process_has_ended_when_its_last_thread_has() {
        for (state, threads, has_ended) in [
            ("S", 1, false),
            ("R", 7, false),
            ("D", 1, false),
            ("T", 1, false),
            // A zombie that nobody has reaped.
            ("Z", 1, true),
            // The first thread has ended, and others run on.
            ("Z", 2, false),
            ("Z", 70, false),
            ("X", 2, false),
            // While it is reaped, the kernel may count no thread.
            ("Z", 0, true),
            ("X", 0, true),
        ] {
            let stat = format!(
                "42 (name) {state} 7 8 9 0 -1 4194560 1 2 3 4 10 20 30 40 -2 -20 {threads} 0 555 1"
            );
            let seen = parse(42, stat.as_bytes()).unwrap();
            assert_eq!((seen.has_ended, seen.started_ticks), (has_ended, 555), "{stat}");
        }
    }

    #[tokio::test]
    async fn the_kernel_tells_of_a_process_what_proc_does_not() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let child = reaper.spawn(&mut shell_command("exec sleep 100"), None).unwrap();
        let pid = child.pid.as_raw();
        let (told, seen) = (ask(pid).unwrap(), see(pid).unwrap());
        let known = |of: ProcessInfo| (of.parent, of.group, of.session, of.has_ended);
        assert_eq!(known(told), known(seen));
        // A stranger is neither a child nor signalled as one.
        assert_eq!(ask(getppid().as_raw()).unwrap().parent, 0);
        assert!(ask(i32::MAX).is_none());
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
        for (processes, sum) in [
            (&[][..], None),
            (&[(100, 30)], Some(100)),
            // What they share counts once.
            (&[(100, 30), (50, 30)], Some(120)),
            (&[(100, 30), (200, 190), (5, 5)], Some(270)),
        ] {
            assert_eq!(rough_sum(processes.iter().copied()), sum, "{processes:?}");
        }
        assert!(rough_memory(&[getpid().as_raw(), i32::MAX]).is_some_and(|it| it > 1 << 20));
    }
}
