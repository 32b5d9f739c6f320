//! A mark on a process of an app that all its descendants inherit and no other process can take on.
//!
//! Two resource limits that have no effect carry it: the number of file locks, which Linux ignores, and
//! the time of real-time scheduling, in centuries. A process can lower its hard limits but not raise
//! them. Of two tags, each has one limit that is lower than the other tag's, so that no process can
//! turn its tag into the tag of another app. (A process with `CAP_SYS_RESOURCE` can.) Every user may
//! read the limits of every process, and an environment or a new session does not change them.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Where the tags begin, if the appliance itself is not limited further. Far beyond every use, and
/// not what the kernel takes for unlimited.
const TOP: rlim_t = 1 << 62;
/// More processes than an appliance starts.
const ROOM: rlim_t = 1 << 32;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The two limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    locks: rlim_t,
    real_time: rlim_t,
}

impl Tag {
    /// A tag that no other process has had; `None` if the appliance's own limits leave no room for it.
    pub(super) fn next() -> Option<Self> {
        let top = |resource| {
            let (_, hard) = getrlimit(resource).ok()?;
            Some(hard.min(TOP)).filter(|top| *top > 2 * ROOM)
        };
        let (locks, real_time) = (top(Resource::RLIMIT_LOCKS)?, top(Resource::RLIMIT_RTTIME)?);
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % ROOM;
        Some(Self { locks: locks - ROOM + number, real_time: real_time - number })
    }

    /// Puts the tag on the calling process, between fork and exec. Some kernels have no such limits;
    /// then the process has no tag.
    pub(super) fn apply(self) {
        let _ = setrlimit(Resource::RLIMIT_LOCKS, self.locks, self.locks);
        let _ = setrlimit(Resource::RLIMIT_RTTIME, self.real_time, self.real_time);
    }

    /// Whether a process with this tag, or with limits that it has lowered, can have had the other one.
    pub(super) fn may_come_from(self, other: Self) -> bool {
        self.locks <= other.locks && self.real_time <= other.real_time
    }

    /// The two limits of a process; `None` if it is gone, or has limits that no tag has.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
        // The name, the soft limit, the hard limit and the unit.
        let hard = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().nth(1)?.parse().ok()
        };
        Some(Self { locks: hard("Max file locks")?, real_time: hard("Max realtime timeout")? })
    }
}

#[cfg(test)]
impl Tag {
    /// The tag of a process that has lowered one limit or both.
    pub(super) fn lowered(self, locks: bool, real_time: bool) -> Self {
        let low = |is_lowered: bool, limit| if is_lowered { 7 } else { limit };
        Self { locks: low(locks, self.locks), real_time: low(real_time, self.real_time) }
    }

    /// The limits of a process that no app has started.
    pub(super) fn unlimited() -> Self {
        Self { locks: rlim_t::MAX, real_time: rlim_t::MAX }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::child::before_exec;
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::shell_command;

    #[test]
    fn no_tag_is_below_another_in_both_limits() {
        let tags: Vec<_> = (0..4).filter_map(|_| Tag::next()).collect();
        for (at, one) in tags.iter().enumerate() {
            for other in &tags[at + 1..] {
                assert!((one.locks < other.locks) != (one.real_time < other.real_time));
            }
        }
        assert_eq!(Tag::of(i32::MAX), None);
    }

    #[tokio::test]
    async fn descendants_have_the_tag_and_nobody_takes_the_tag_of_another() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let Some((own, other)) = Tag::next().zip(Tag::next()) else { return };
        let tagged = |command: &mut Command| {
            before_exec(command, move || {
                own.apply();
                Ok::<(), io::Error>(())
            });
        };
        let (mut output, writer) = io::pipe().unwrap();
        let mut daemon = shell_command("exec setsid env -i sh -c 'echo $$; exec sleep 100' & wait");
        tagged(daemon.stdout(writer));
        let process = reaper.spawn(&mut daemon, None).unwrap();
        drop(daemon);
        let mut text = [0; 32];
        let read = io::Read::read(&mut output, &mut text).unwrap();
        let pid: i32 = String::from_utf8_lossy(&text[..read]).trim().parse().unwrap();
        assert_eq!(Tag::of(pid), Some(own));
        // Also its descendants.
        drop(process);

        let script = format!(
            "prlimit --locks={} --rttime={} true && echo taken; \
             prlimit --locks={} --rttime={} true && echo lowered; true",
            other.locks, other.real_time, 7, 7
        );
        let mut thief = Command::new("setpriv");
        thief.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource", "sh", "-c"]);
        let (mut output, writer) = io::pipe().unwrap();
        tagged(thief.arg(script).stdout(writer).stderr(Stdio::null()));
        let mut process = reaper.spawn(&mut thief, None).unwrap();
        drop(thief);
        (&mut process.ended).await.unwrap();
        let mut said = String::new();
        io::Read::read_to_string(&mut output, &mut said).unwrap();
        assert_eq!(said, "lowered\n");
    }
}
