//! The only caller of `wait*`, and the only way to spawn or signal a process.
//!
//! One lock is held over every spawn, every wait and every signal. This guarantees:
//!
//! - no exit is lost, however early: a process is recorded before it can be reaped;
//! - the `wait` of `std` after a failed `exec` cannot be stolen (`std` would panic);
//! - a PID is signalled only until it is reaped, and a process group only as long as it has
//!   members, so that the number cannot belong to another process;
//! - no program can make the lock last: a child that [`super::child`] forks tells later, without the
//!   lock, whether its program runs. It gets the user of its app after the call that forks has returned,
//!   so that the app cannot stop it before; where the apps have the user of the appliance, a thread ends a
//!   child that is stopped;
//! - orphans that the appliance inherits are reaped at once and affect nothing else;
//! - an app is gone only when its daemons are gone, too (see [`super::kin`]).
//!
//! SIGCHLD only wakes the reaper: one signal may stand for many exits.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::kernel::calls::Kernel;
use super::kernel::linux::Linux;
use super::kin::{Families, Leader, Leaders, Mark};
use super::users::Users;
use crate::config::AppName;
use crate::supervisor::exit::Exit;
use crate::threads::blocking;

/// Pause between two attempts to kill what is left of a family.
const LOOK: Duration = Duration::from_millis(50);

/// Spawns, signals and reaps processes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reaper {
    kernel: Arc<dyn Kernel>,
    groups: Arc<Mutex<Groups>>,
    users: Arc<Users>,
    reaped: Arc<Notify>,
}

/// The process groups that the appliance started, by their leaders.
type Groups = BTreeMap<Pid, Group>;

/// A process group: its leader, and later the members that the leader left behind.
#[derive(Debug)]
struct Group {
    /// Taken when the leader is reaped.
    ended: Option<oneshot::Sender<Ended>>,
    /// When the leader was reaped, by [`Kernel::ticks`].
    reaped: Option<u64>,
    gone: oneshot::Sender<()>,
    /// The group has been seen without members: its number may belong to another group. Daemons of
    /// the app may still run.
    is_empty: bool,
    /// Identifies the daemons that the leader leaves behind.
    mark: Option<Mark>,
    /// The appliance has sent SIGKILL.
    killed: bool,
}

impl Group {
    fn has_user_of(&self, other: &Self) -> bool {
        self.mark.as_ref().zip(other.mark.as_ref()).is_some_and(|(one, other)| one.uid == other.uid)
    }
}

/// How the leader of a process group ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Whether other members of the process group, or daemons of the app, are still running.
    pub(crate) survivors: bool,
    /// Whether the appliance has killed the process.
    pub(crate) killed: bool,
}

/// A process that leads its own process group. Dropping it kills the group and its daemons if they
/// are not gone, unless [`Self::release`] was called.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) ended: oneshot::Receiver<Ended>,
    /// Resolves when no member of the process group and no daemon of the app is left.
    pub(crate) gone: oneshot::Receiver<()>,
    reaper: Option<Reaper>,
}

impl Reaper {
    /// Starts to reap children, including orphans, whether the appliance is PID 1 or not. Must be
    /// called within the runtime, before any process is spawned.
    pub fn start() -> io::Result<Self> {
        set_child_subreaper(true)?;
        let reaper = Self::unstarted();
        let mut deaths = signal(SignalKind::child())?;
        let reaping = reaper.clone();
        tokio::spawn(async move {
            loop {
                reaping.reap();
                if deaths.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(reaper)
    }

    pub(crate) fn unstarted() -> Self {
        Self::over(Arc::new(Linux))
    }

    /// A reaper of the processes of this kernel.
    pub(crate) fn over(kernel: Arc<dyn Kernel>) -> Self {
        Self { kernel, groups: Arc::default(), users: Arc::default(), reaped: Arc::default() }
    }

    /// A pipe for the output of the process that is spawned next.
    pub(crate) fn pipe(&self) -> io::Result<(PipeReader, PipeWriter)> {
        self.kernel.pipe()
    }

    /// Whether files and `/proc` never keep a caller waiting.
    pub(super) fn answers_at_once(&self) -> bool {
        self.kernel.answers_at_once()
    }

    /// Does work that an app can delay through its files or its entries in `/proc`, on a thread of its
    /// own.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if self.answers_at_once() {
            return work();
        }
        blocking(work).await
    }

    /// Spawns a command that leads its own process group. With a mark, its daemons are recognised and
    /// end with it.
    pub(crate) fn spawn(&self, command: &mut Command, mark: Option<Mark>) -> io::Result<Process> {
        let mut groups = self.groups();
        if let Some(mark) = &mark {
            self.users.remember(&mark.app, mark.uid);
        }
        let pid = self.kernel.spawn(command)?;
        if groups.contains_key(&pid) {
            // The number was that of a leader that has been reaped, and processes of its app still run: two
            // apps would have one record.
            let _ = self.kernel.signal(pid, Signal::SIGKILL);
            return Err(Errno::EAGAIN.into());
        }
        let ((ended, on_end), (gone, on_gone)) = (oneshot::channel(), oneshot::channel());
        let ended = Some(ended);
        let group = Group { ended, reaped: None, gone, is_empty: false, mark, killed: false };
        groups.insert(pid, group);
        Ok(Process { pid, ended: on_end, gone: on_gone, reaper: Some(self.clone()) })
    }

    /// Signals the leader; false if it has ended.
    pub(crate) fn signal(&self, leader: Pid, signal: Signal) -> bool {
        let mut groups = self.groups();
        let lives =
            note_kill(&mut groups, leader, signal).is_some_and(|group| group.ended.is_some());
        lives && self.kernel.signal(leader, signal).is_ok()
    }

    /// Signals the whole process group; false if it is gone.
    pub(crate) fn signal_group(&self, leader: Pid, signal: Signal) -> bool {
        let mut groups = self.groups();
        note_kill(&mut groups, leader, signal).is_some()
            && self.group_lives(&mut groups, leader)
            && self.kernel.signal_group(leader, Some(signal)).is_ok()
    }

    /// Signals the daemons of an app. While the leader runs, stopping them is the leader's task.
    pub(crate) fn signal_daemons(&self, leader: Pid, signal: Signal) {
        let groups = self.groups();
        if groups.get(&leader).is_some_and(|group| group.ended.is_none()) {
            self.signal_outside(&groups, leader, signal);
        }
    }

    /// Kills all processes of an app, inside and outside of its process group.
    pub(crate) fn kill(&self, leader: Pid) {
        let mut groups = self.groups();
        if note_kill(&mut groups, leader, Signal::SIGKILL).is_some() {
            self.kill_all(&mut groups, leader);
            self.kill_user(&groups, leader);
        }
    }

    /// Kills all that runs as the user of an app, if the appliance has given the user to this app alone and
    /// kills all of its processes.
    fn kill_user(&self, groups: &Groups, leader: Pid) {
        let Some(mark) = groups.get(&leader).and_then(|group| group.mark.as_ref()) else { return };
        let is_to_end = groups.values().all(|group| match &group.mark {
            Some(other) if other.uid == mark.uid => group.killed && other.has_own_user,
            _ => true,
        });
        let is_of_one_app = self.users.apps(mark.uid).len() == 1;
        if is_to_end && is_of_one_app && mark.uid != geteuid().as_raw() {
            self.kernel.kill_user(mark.uid, &leaders(groups));
        }
    }

    fn kill_all(&self, groups: &mut Groups, leader: Pid) {
        // First, while their descent from the leader can still be seen.
        self.signal_outside(groups, leader, Signal::SIGKILL);
        if self.group_lives(groups, leader) {
            let _ = self.kernel.signal_group(leader, Some(Signal::SIGKILL));
        }
    }

    fn signal_outside(&self, groups: &Groups, leader: Pid, signal: Signal) {
        for pid in self.kernel.outside_group(leader, &leaders(groups)) {
            // A PID is reused only after the parent has reaped it. Children of the appliance are
            // safe under the lock; for others, a process of the app would have to reap the PID in
            // this moment.
            let _ = self.kernel.signal(pid, signal);
        }
    }

    /// Checks whether the process group and the daemons are gone. The reaper does not notice the end of its last
    /// member if another process has reaped it, or if its parent has left the group and never reaps
    /// it.
    pub(crate) fn check_group(&self, leader: Pid) {
        let mut groups = self.groups();
        let lives = self.group_lives(&mut groups, leader) && !self.kernel.has_group_ended(leader);
        self.forget_unless(lives, &mut groups, leader);
    }

    /// All processes of all apps. No lock is held while `/proc` is read, so that no spawn has to wait. A
    /// process that ends meanwhile may be listed, or a new process of the same number.
    pub(crate) fn glance(&self) -> Families {
        let leaders = leaders(&self.groups());
        self.kernel.families(&leaders)
    }

    /// The app that a child belongs to: its main process, a probe, or a step of its setup.
    pub(crate) fn app_of(&self, leader: i32) -> Option<AppName> {
        let groups = self.groups();
        Some(groups.get(&Pid::from_raw(leader))?.mark.as_ref()?.app.clone())
    }

    /// Whether no other app that has a process runs as this user. All processes of an app may.
    pub(crate) fn runs_alone(&self, app: &AppName, uid: u32) -> bool {
        let groups = self.groups();
        let mut marks = groups.values().filter_map(|group| group.mark.as_ref());
        !marks.any(|mark| mark.uid == uid && mark.app.app() != app.app())
    }

    /// An app that has a process of this user, otherwise one that had.
    pub(crate) fn app_with_user(&self, uid: u32) -> Option<AppName> {
        let groups = self.groups();
        let mut marks = groups.values().filter_map(|group| group.mark.as_ref());
        let running = marks.find(|mark| mark.uid == uid).map(|mark| mark.app.clone());
        running.or_else(|| self.apps_with_user(uid).into_iter().next())
    }

    /// The apps that have had a process of this user since the start, and those of the configuration that
    /// are meant to.
    pub(crate) fn apps_with_user(&self, uid: u32) -> Vec<AppName> {
        self.users.apps(uid)
    }

    /// Remembers the user of an app that may not have had a process yet.
    pub(crate) fn remember_user(&self, app: &AppName, uid: u32) {
        self.users.remember(app, uid);
    }

    /// Resolves after the next time that processes were reaped.
    pub(crate) async fn reaped(&self) {
        self.reaped.notified().await;
    }

    /// Whether the appliance has any child, including those that it did not spawn.
    #[cfg(test)]
    pub(crate) fn has_children(&self) -> bool {
        let _held = self.groups();
        self.kernel.has_children()
    }

    /// The running processes that the appliance has to end before it exits.
    pub(crate) fn left(&self) -> Vec<i32> {
        let _held = self.groups();
        self.kernel.left()
    }

    /// Signals the processes that are [`Self::left`].
    pub(crate) fn signal_left(&self, signal: Signal) {
        let mut groups = self.groups();
        self.kernel.signal_left(signal);
        if signal == Signal::SIGKILL {
            groups.values_mut().for_each(|group| group.killed = true);
            groups.keys().for_each(|leader| self.kill_user(&groups, *leader));
        }
    }

    /// Reaps all children that have ended.
    pub(crate) fn reap(&self) {
        loop {
            let mut groups = self.groups();
            let Some((pid, exit)) = self.kernel.reap() else { break };
            let group = groups.get_mut(&pid);
            let reaped = self.kernel.ticks();
            if let Some((ended, killed)) = group.and_then(|group| {
                let ended = group.ended.take()?;
                group.reaped = Some(reaped);
                Some((ended, group.killed))
            }) {
                let survivors =
                    self.group_lives(&mut groups, pid) || self.daemons_live(&groups, pid);
                let _ = ended.send(Ended { exit, survivors, killed });
            }
        }
        let mut groups = self.groups();
        let leaderless = groups.iter().filter(|(_, group)| group.ended.is_none());
        for leader in leaderless.map(|(leader, _)| *leader).collect::<Vec<_>>() {
            let lives = self.group_lives(&mut groups, leader);
            self.forget_unless(lives, &mut groups, leader);
            // Of a killed family, a process may have forked a child that was not seen in that moment.
            if groups.get(&leader).is_some_and(|group| group.killed) {
                self.kill_all(&mut groups, leader);
            }
        }
        drop(groups);
        self.reaped.notify_waiters();
    }

    fn forget_unless(&self, group_lives: bool, groups: &mut Groups, leader: Pid) {
        let leaderless = groups.get(&leader).is_some_and(|group| group.ended.is_none());
        if leaderless
            && !group_lives
            && !self.daemons_live(groups, leader)
            && let Some(group) = groups.remove(&leader)
        {
            // What was killed before and still lives had to wait for this one.
            let rest = groups.iter().find(|(_, rest)| rest.killed && rest.has_user_of(&group));
            if let Some(leader) = rest.map(|(leader, _)| *leader) {
                self.kill_user(groups, leader);
            }
            let _ = group.gone.send(());
        }
    }

    /// Whether a process group has members. Its number is not reused while it has: once the leader is
    /// reaped, a process with its number means that the group has had no members for a moment.
    fn group_lives(&self, groups: &mut Groups, leader: Pid) -> bool {
        let Some(group) = groups.get_mut(&leader) else { return false };
        let ended = |leader| self.kernel.signal_group(leader, None) == Err(Errno::ESRCH);
        group.is_empty = group.is_empty
            || ended(leader)
            || group.ended.is_none() && self.kernel.has_process(leader);
        !group.is_empty
    }

    /// Whether daemons of an app are running whose ancestors have all ended.
    fn daemons_live(&self, groups: &Groups, leader: Pid) -> bool {
        let is_app = groups.get(&leader).is_some_and(|group| group.mark.is_some());
        is_app && self.kernel.has_daemons(leader, &leaders(groups))
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that the signal will kill the group; `None` if neither members nor daemons are left.
fn note_kill(groups: &mut Groups, leader: Pid, signal: Signal) -> Option<&mut Group> {
    let group = groups.get_mut(&leader)?;
    group.killed |= signal == Signal::SIGKILL;
    Some(group)
}

fn leaders(groups: &Groups) -> Leaders {
    let leader = |group: &Group| Leader { mark: group.mark.clone(), reaped: group.reaped };
    groups.iter().map(|(pid, group)| (pid.as_raw(), leader(group))).collect()
}

impl Process {
    /// Dropping this no longer kills the process group.
    pub(crate) fn release(&mut self) {
        self.reaper = None;
    }

    /// Kills the process group and its daemons, and waits until they are gone, but no longer than this.
    pub(crate) async fn end(&mut self, reaper: &Reaper, longest: Duration) {
        if !matches!(self.gone.try_recv(), Err(TryRecvError::Empty)) {
            return;
        }
        let _ = timeout(longest, async {
            loop {
                reaper.kill(self.pid);
                if timeout(LOOK, &mut self.gone).await.is_ok() {
                    return;
                }
                reaper.check_group(self.pid);
            }
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(reaper) = &self.reaper {
            reaper.kill(self.pid);
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/process/reaper.rs"]
mod tests;
