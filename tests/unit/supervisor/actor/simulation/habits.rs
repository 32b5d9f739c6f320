//! What programs do at random, and which spawns the simulated kernel refuses.

use std::io;
use std::ops::Range;

use nix::errno::Errno;

use super::process::{Deed, Process, Role};
use super::state::State;
use crate::supervisor::exit::Exit;

impl State {
    /// What a leader does when everything works.
    pub(super) fn plan_good(&mut self, pid: i32) {
        self.plan_in(pid, 0..400, Deed::BecomeReady);
        self.plan_in(pid, 0..400, Deed::Report);
        if self.processes.get(&pid).is_some_and(|one| one.is_job) {
            self.plan_in(pid, 400..2_000, Deed::Exit(Exit::Code(0)));
        }
    }

    /// What a new leader will do.
    fn plan_leader(&mut self, pid: i32) {
        if self.is_calm {
            return self.plan_good(pid);
        }
        match self.rng.u32(0..8) {
            0 => self.plan_exit(pid, 0..30),
            1 | 2 => self.plan_exit(pid, 0..2_000),
            3 => self.plan_exit(pid, 1_000..30_000),
            _ => {}
        }
        if !self.chance(5) {
            self.plan_in(pid, 0..1_500, Deed::BecomeReady);
            self.plan_in(pid, 0..1_500, Deed::Report);
        }
        if self.chance(4) {
            self.plan_in(pid, 0..9_000, Deed::Hang(true));
            self.plan_in(pid, 9_000..20_000, Deed::Hang(false));
        }
        while self.chance(3) {
            let role = if self.chance(2) { Role::Member } else { Role::Daemon };
            self.plan_in(pid, 0..2_000, Deed::Fork(role));
        }
    }

    fn plan_exit(&mut self, pid: i32, range: Range<u64>) {
        let exits = [
            Exit::Code(0),
            Exit::Code(0),
            Exit::Code(1),
            Exit::Code(127),
            Exit::Signal(11),
            Exit::Signal(9),
        ];
        let exit = exits[self.rng.usize(0..exits.len())];
        self.plan_in(pid, range, Deed::Exit(exit));
    }

    /// A process was asked to end.
    pub(super) fn ask(&mut self, pid: i32, ends: Deed) {
        match self.rng.u32(0..6) {
            _ if self.is_calm => self.plan_in(pid, 0..20, ends),
            0 => {}
            1 => self.plan_in(pid, 0..4_000, Deed::Exit(Exit::Code(0))),
            2 => self.plan_in(pid, 0..200, ends),
            _ => self.plan_in(pid, 0..2, ends),
        }
    }

    pub(super) fn refuse(&mut self) -> Option<io::Error> {
        if self.is_calm || !self.chance(25) {
            return None;
        }
        let errors = [Errno::ENOENT, Errno::EAGAIN, Errno::ENOMEM, Errno::EACCES];
        Some(errors[self.rng.usize(0..errors.len())].into())
    }

    pub(super) fn spawn_leader(
        &mut self,
        app: &str,
        version: u64,
        configuration: u64,
        is_job: bool,
    ) -> io::Result<i32> {
        let unasked = self.unasked.entry(app.to_owned()).or_default();
        *unasked += 1;
        let unasked = *unasked;
        *self.spawned.entry(app.to_owned()).or_default() += 1;
        let others =
            self.processes.values().find(|one| one.app == app && one.is_of_app() && one.runs());
        if let Some(other) = others {
            let text = format!("{app} is started while {:?} {} runs", other.role, other.pid);
            self.violate(text);
        }
        if let Some(check) = self.check.take() {
            if let Some(problem) = check(app, configuration, unasked) {
                self.violate(problem);
            }
            self.check = Some(check);
        }
        if let Some(error) = self.refuse() {
            self.note(|| format!("spawn of {app} fails: {error}"));
            return Err(error);
        }
        let outputs = std::mem::take(&mut self.pipes);
        let pid = self.make(app, Role::Leader, version, outputs);
        if let Some(one) = self.processes.get_mut(&pid) {
            one.is_job = is_job;
        }
        self.note(|| format!("spawn {app} version {version}: {pid}"));
        self.plan_leader(pid);
        Ok(pid)
    }

    pub(super) fn spawn_probe(&mut self, app: &str, asks: &str) -> i32 {
        let leads = |one: &&Process| one.app == app && one.role == Role::Leader && one.runs();
        let leader = self.processes.values().find(leads);
        let answers = leader.is_some_and(|one| !one.suspended && !one.health.hangs);
        let yes = leader.is_some_and(|one| one.health.is_ready || asks == "live");
        let pid = self.make(app, Role::Probe, 0, Vec::new());
        self.note(|| format!("probe {app} {asks}: answers {answers}, yes {yes}: {pid}"));
        let exit = Deed::Exit(Exit::Code(i32::from(!yes)));
        if answers {
            let range = if self.is_calm || self.chance(2) { 0..3 } else { 0..400 };
            self.plan_in(pid, range, exit);
        } else {
            self.plan_in(pid, 0..5_000, exit);
        }
        pid
    }

    pub(super) fn spawn_setup(&mut self, app: &str, creates: &str) -> io::Result<i32> {
        if let Some(error) = self.refuse() {
            return Err(error);
        }
        let outputs = std::mem::take(&mut self.pipes);
        let pid = self.make(app, Role::Setup, 0, outputs);
        self.note(|| format!("setup of {app}: {pid}"));
        if let Some(one) = self.processes.get_mut(&pid) {
            one.creates = Some(creates.to_owned());
        }
        let fails = !self.is_calm && self.chance(5);
        self.plan_in(pid, 0..3_000, Deed::Exit(Exit::Code(i32::from(fails))));
        Ok(pid)
    }
}
