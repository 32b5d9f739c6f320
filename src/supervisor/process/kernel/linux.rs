//! The calls of Linux about processes.

use std::io::{self, PipeReader, PipeWriter};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, Uid, getpid};
use rustix::process::{WaitOptions, WaitStatus, wait};

use super::calls::Kernel;
use super::fork_watch::watched;
use crate::supervisor::exit::Exit;
use crate::supervisor::process::child::user_end::{NOBODY_ELSE, killer_of};
use crate::supervisor::process::kin::{self, Families, Leaders};
use crate::supervisor::process::procfs::{self, ProcessInfo};

/// The kernel that the appliance runs on.
#[derive(Debug)]
pub(crate) struct Linux;

impl Kernel for Linux {
    fn pipe(&self) -> io::Result<(PipeReader, PipeWriter)> {
        io::pipe()
    }

    fn answers_at_once(&self) -> bool {
        false
    }

    #[expect(clippy::disallowed_methods, reason = "the one spawn, under the reaper's lock")]
    fn spawn(&self, command: &mut Command) -> io::Result<Pid> {
        let child = watched(self.ticks(), || command.spawn())?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    }

    fn reap(&self) -> Option<(Pid, Exit)> {
        loop {
            // `nix`'s `wait` cannot be used here: after an exit by a real-time signal it fails
            // without the PID.
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(exit) = exit(status) {
                        return Some((Pid::from_raw(pid.as_raw_pid()), exit));
                    }
                }
                Ok(None) | Err(rustix::io::Errno::CHILD) => return None,
                Err(_) => {}
            }
        }
    }

    fn has_children(&self) -> bool {
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        waitid(Id::All, peek) != Err(Errno::ECHILD)
    }

    fn signal(&self, pid: Pid, signal: Signal) -> nix::Result<()> {
        kill(pid, signal)
    }

    fn signal_group(&self, leader: Pid, signal: Option<Signal>) -> nix::Result<()> {
        killpg(leader, signal)
    }

    fn has_group_ended(&self, leader: Pid) -> bool {
        let members = procfs::all().filter(|process| process.group == leader.as_raw());
        let mut members = members.peekable();
        members.peek().is_some() && members.all(|process| process.has_ended)
    }

    fn has_process(&self, pid: Pid) -> bool {
        procfs::see(pid.as_raw()).is_some()
    }

    fn ticks(&self) -> u64 {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) =
            (since_boot.tv_sec.unsigned_abs(), since_boot.tv_nsec.unsigned_abs());
        let a_second = rustix::param::clock_ticks_per_second();
        seconds * a_second + nanos * a_second / 1_000_000_000
    }

    fn outside_group(&self, leader: Pid, leaders: &Leaders) -> Vec<Pid> {
        let all = procfs::snapshot();
        let families = Families::to_end(leaders, &all);
        let found = families.of_leader(leader.as_raw()).iter();
        let outside =
            |pid: &&i32| all.get(pid).is_some_and(|process| process.group != leader.as_raw());
        found.filter(outside).map(|pid| Pid::from_raw(*pid)).collect()
    }

    fn families(&self, leaders: &Leaders) -> Families {
        Families::of(leaders, &procfs::snapshot())
    }

    fn has_daemons(&self, leader: Pid, leaders: &Leaders) -> bool {
        kin::left_by(leader.as_raw(), leaders)
    }

    fn kill_user(&self, uid: u32, leaders: &Leaders) {
        let has_nobody_else =
            || procfs::all().all(|seen| !procfs::has_user(seen.pid, NOBODY_ELSE.as_raw()));
        if kin::has_only_its_app(uid, leaders) && has_nobody_else() {
            // It cannot succeed: the child runs no program.
            let _ = self.spawn(&mut killer_of(Uid::from_raw(uid)));
        }
    }

    fn left(&self) -> Vec<i32> {
        let (own, pid_1) = (getpid().as_raw(), getpid().as_raw() == 1);
        if !pid_1 && !self.has_children() {
            return Vec::new();
        }
        let is_left =
            |process: &ProcessInfo| process.pid != own && (pid_1 || process.parent == own);
        // As with daemons, a process that has ended may have forked another one: see `kin::left_by`.
        let mut ended_before = 0;
        let mut left = Vec::new();
        for _ in 0..kin::AGREEING {
            let (ended, running): (Vec<_>, Vec<_>) =
                procfs::all().filter(is_left).partition(|process| process.has_ended);
            let is_settled = !running.is_empty() || ended.len() == ended_before;
            ended_before = ended.len();
            left = if is_settled { running } else { ended };
            if is_settled {
                break;
            }
        }
        left.into_iter().map(|process| process.pid).collect()
    }

    fn signal_left(&self, signal: Signal) {
        if getpid().as_raw() == 1 {
            let _ = kill(Pid::from_raw(-1), signal);
            return;
        }
        for pid in self.left() {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

fn exit(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(Exit::Code);
    code.or_else(|| status.terminating_signal().map(Exit::Signal))
}
