//! Whether the kernel has killed processes because memory ran out, as the counters of the control
//! group tell: `memory.events` (cgroup v2), `memory.oom_control` or `memory.failcnt` (v1), else the
//! counter of the whole machine.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::supervisor::exit::Exit;

/// Where cgroups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";
/// The cause as people read it.
pub(crate) const KILLED_FOR_MEMORY: &str = "killed, probably for memory";
/// Several processes may die of one shortage.
const SHORTAGE: Duration = Duration::from_secs(2);

/// Watches the counter of this machine or container.
#[derive(Debug)]
pub(crate) struct MemoryKills {
    /// `None` if the kernel shows no counter.
    counter: Option<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    grown_at: Option<Instant>,
}

impl MemoryKills {
    /// Watches the control group of the appliance, which its apps share.
    pub(crate) fn watch() -> Self {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(candidates(&groups, Path::new(CGROUPS)))
    }

    pub(crate) fn of(candidates: Vec<PathBuf>) -> Self {
        let counter = candidates.into_iter().find(|path| count(path).is_some());
        let kills = Self { counter, seen: Mutex::default() };
        kills.look();
        kills.seen.lock().unwrap_or_else(PoisonError::into_inner).grown_at = None;
        kills
    }

    /// Reads the counter. Called before a start as well, so that an earlier shortage is not taken for
    /// the cause of a later end.
    pub(crate) fn look(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = self.counter.as_deref().and_then(count)
            && count > seen.count
        {
            *seen = Seen { count, grown_at: Some(Instant::now()) };
        }
        seen.grown_at.is_some_and(|at| at.elapsed() < SHORTAGE)
    }

    /// What probably ended a process that the appliance has not killed.
    pub(crate) fn cause(&self, exit: Exit) -> Option<&'static str> {
        // A shell reports the signal of its last command as 128 + n.
        let is_killed = matches!(exit, Exit::Signal(9) | Exit::Code(137));
        (self.look() && is_killed).then_some(KILLED_FOR_MEMORY)
    }
}

/// The counters that may exist, most exact first. In a container, the path that the kernel names may
/// be one of the host.
fn candidates(groups: &str, mount: &Path) -> Vec<PathBuf> {
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            v2.push(mount.join(path));
            v2.push(mount.join("unified").join(path));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            v1.push(mount.join("memory").join(path));
        }
    }
    v2.push(mount.to_owned());
    v1.push(mount.join("memory"));
    let v2 = v2.into_iter().map(|folder| folder.join("memory.events"));
    let v1 = v1
        .into_iter()
        .flat_map(|folder| ["memory.oom_control", "memory.failcnt"].map(|name| folder.join(name)));
    v2.chain(v1).chain([PathBuf::from("/proc/vmstat")]).collect()
}

fn count(path: &Path) -> Option<u64> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// A file of `name number` lines with `oom_kill`, or one number.
fn parse(text: &str) -> Option<u64> {
    let numbers = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
    let named = numbers.map(str::trim).find_map(|number| number.parse().ok());
    named.or_else(|| text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_in_every_format() {
        for (text, number) in [
            ("low 0\nhigh 0\nmax 23\noom 2\noom_kill 2\noom_group_kill 0\n", Some(2)),
            ("oom_group_kill 7\noom_kill 1", Some(1)),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", Some(5)),
            // A kernel before 4.13 does not count.
            ("oom_kill_disable 0\nunder_oom 0\n", None),
            ("17\n", Some(17)),
            ("nr_free_pages 4\noom_kill 3\n", Some(3)),
            ("oom_kill x\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text), number, "{text}");
        }
    }

    #[test]
    fn the_counter_of_the_own_group_comes_first() {
        let first = |groups: &str| {
            let found = candidates(groups, Path::new("/c"));
            let shown: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
            assert_eq!(shown.last().unwrap(), "/proc/vmstat");
            shown[..3].join(" ")
        };
        assert_eq!(
            first("0::/system.slice/x.service\n"),
            "/c/system.slice/x.service/memory.events /c/unified/system.slice/x.service/memory.events /c/memory.events"
        );
        assert_eq!(
            first("12:cpu,cpuacct:/a\n4:memory:/docker/1f\n"),
            "/c/memory.events /c/memory/docker/1f/memory.oom_control /c/memory/docker/1f/memory.failcnt"
        );
        assert_eq!(
            first(""),
            "/c/memory.events /c/memory/memory.oom_control /c/memory/memory.failcnt"
        );
    }

    #[test]
    fn only_a_kill_while_the_counter_grows_is_for_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        let set = |count: u32| std::fs::write(&file, format!("oom_kill {count}\n")).unwrap();
        set(4);
        let kills = MemoryKills::of(vec![folder.path().join("none"), file.clone()]);
        let cause = |exit| kills.cause(exit).is_some();
        assert!(!cause(Exit::Signal(9)), "the counter has not grown since the start");
        set(5);
        assert!(cause(Exit::Signal(9)));
        assert!(cause(Exit::Signal(9)), "a second victim of the same shortage");
        assert!(cause(Exit::Code(137)), "a shell whose command was killed");
        assert!(!cause(Exit::Code(1)) && !cause(Exit::Signal(15)));
        assert!(MemoryKills::of(Vec::new()).cause(Exit::Signal(9)).is_none(), "no counter");
    }
}
