//! The calls to the kernel about processes. Only the reaper makes them, under its lock.

use std::fmt::Debug;
use std::io::{self, PipeReader, PipeWriter};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::supervisor::exit::Exit;
use crate::supervisor::process::kin::{Families, Leaders};
#[cfg(doc)]
use crate::supervisor::process::procfs::ProcessInfo;

/// The calls to the kernel about processes.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// A pipe for the output of the process that is spawned next.
    fn pipe(&self) -> io::Result<(PipeReader, PipeWriter)>;
    /// Whether files and `/proc` never keep a caller waiting.
    fn answers_at_once(&self) -> bool;
    /// Starts a process that leads its own process group.
    fn spawn(&self, command: &mut Command) -> io::Result<Pid>;
    /// Reaps a child that has ended; `None` if no child has.
    fn reap(&self) -> Option<(Pid, Exit)>;
    /// Whether there is any child, also one that has ended and is not reaped.
    fn has_children(&self) -> bool;
    /// Signals one process.
    fn signal(&self, pid: Pid, signal: Signal) -> nix::Result<()>;
    /// Signals a process group; without a signal, only asks whether the group has members.
    fn signal_group(&self, leader: Pid, signal: Option<Signal>) -> nix::Result<()>;
    /// Whether all members of a process group that still has some have ended.
    fn has_group_ended(&self, leader: Pid) -> bool;
    /// Whether a process has this number.
    fn has_process(&self, pid: Pid) -> bool;
    /// Clock ticks since the boot of the machine, as [`ProcessInfo`] counts them.
    fn ticks(&self) -> u64;
    /// The processes of an app outside of its process group.
    fn outside_group(&self, leader: Pid, leaders: &Leaders) -> Vec<Pid>;
    /// All processes of all apps.
    fn families(&self, leaders: &Leaders) -> Families;
    /// Whether a leader that has ended has left daemons behind.
    fn has_daemons(&self, leader: Pid, leaders: &Leaders) -> bool;
    /// Kills all processes of an app's user at once, unless one of them comes from elsewhere.
    fn kill_user(&self, uid: u32, leaders: &Leaders);
    /// The running processes that the appliance has to end before it exits.
    fn left(&self) -> Vec<i32>;
    /// Signals the processes that are [`Self::left`].
    fn signal_left(&self, signal: Signal);
}
