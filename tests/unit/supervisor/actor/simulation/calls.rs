//! The calls to the simulated kernel.

use std::io::{self, PipeReader, PipeWriter};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::apps::key;
use super::kernel::SimulatedKernel;
use super::process::Process;
use crate::supervisor::exit::Exit;
use crate::supervisor::process::kernel::calls::Kernel;
use crate::supervisor::process::kin::{Families, Leaders};

impl Kernel for SimulatedKernel {
    fn pipe(&self) -> io::Result<(PipeReader, PipeWriter)> {
        let mut state = self.state();
        state.steps += 1;
        if !state.is_calm && state.chance(200) {
            state.pipes.clear();
            state.note(|| "no pipe: EMFILE".to_owned());
            return Err(Errno::EMFILE.into());
        }
        let (reader, writer) = io::pipe()?;
        state.pipes.push(writer.try_clone()?);
        Ok((reader, writer))
    }

    /// Another thread would work at a time that no seed says.
    fn answers_at_once(&self) -> bool {
        true
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Pid> {
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse().unwrap_or_default();
        let mut state = self.state();
        let spawned = match words[..] {
            [program @ ("/app" | "/job"), app, version, configuration] => {
                let (version, configuration) = (number(version), number(configuration));
                state.spawn_leader(&key(app), version, configuration, program == "/job")
            }
            ["/probe", app, asks] => Ok(state.spawn_probe(&key(app), asks)),
            ["/setup", app, creates] => state.spawn_setup(&key(app), creates),
            _ => Err(Errno::ENOENT.into()),
        };
        if words[0] != "/probe" {
            state.pipes.clear();
        }
        drop(state);
        self.changed.notify_one();
        spawned.map(Pid::from_raw)
    }

    fn reap(&self) -> Option<(Pid, Exit)> {
        let mut state = self.state();
        state.steps += 1;
        let ended = |one: &&Process| !one.runs() && one.parent == 0;
        let ended: Vec<i32> = state.processes.values().filter(ended).map(|one| one.pid).collect();
        if ended.is_empty() {
            return None;
        }
        let pid = ended[state.rng.usize(0..ended.len())];
        let exit = state.processes.remove(&pid)?.ended?;
        state.note(|| format!("reaped {pid}: {exit:?}"));
        Some((Pid::from_raw(pid), exit))
    }

    fn has_children(&self) -> bool {
        self.state().processes.values().any(|one| one.parent == 0)
    }

    fn signal(&self, pid: Pid, signal: Signal) -> nix::Result<()> {
        let mut state = self.state();
        state.note(|| format!("{signal} to {pid}"));
        if !state.processes.contains_key(&pid.as_raw()) {
            state.violate(format!("{signal} to {pid}, which is not there"));
            return Err(Errno::ESRCH);
        }
        state.receive(pid.as_raw(), signal);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn signal_group(&self, leader: Pid, signal: Option<Signal>) -> nix::Result<()> {
        let mut state = self.state();
        state.steps += 1;
        let in_group = |one: &&Process| one.group == leader.as_raw();
        let members: Vec<i32> =
            state.processes.values().filter(in_group).map(|one| one.pid).collect();
        if let Some(signal) = signal {
            state.note(|| format!("{signal} to group {leader}"));
            if members.is_empty() {
                state.violate(format!("{signal} to the group {leader}, which is gone"));
            }
            for pid in &members {
                state.receive(*pid, signal);
            }
        }
        drop(state);
        self.changed.notify_one();
        if members.is_empty() { Err(Errno::ESRCH) } else { Ok(()) }
    }

    fn has_group_ended(&self, leader: Pid) -> bool {
        let state = self.state();
        let group = || state.processes.values().filter(|one| one.group == leader.as_raw());
        group().next().is_some() && group().all(|one| !one.runs())
    }

    /// The simulation gives no number twice.
    fn has_process(&self, _: Pid) -> bool {
        false
    }

    fn ticks(&self) -> u64 {
        0
    }

    fn outside_group(&self, leader: Pid, _: &Leaders) -> Vec<Pid> {
        let (mut state, leader) = (self.state(), leader.as_raw());
        state.steps += 1;
        let found = state.processes.values().filter(|one| one.runs() && one.incarnation == leader);
        let found = found.filter(|one| one.group != leader);
        found.map(|one| Pid::from_raw(one.pid)).collect()
    }

    fn families(&self, _: &Leaders) -> Families {
        Families::default()
    }

    fn has_daemons(&self, leader: Pid, leaders: &Leaders) -> bool {
        let (mut state, leader) = (self.state(), leader.as_raw());
        state.steps += 1;
        state.processes.values().any(|one| {
            one.runs()
                && one.parent == 0
                && one.incarnation == leader
                && !leaders.contains_key(&one.pid)
        })
    }

    fn kill_user(&self, _: u32, _: &Leaders) {}

    fn left(&self) -> Vec<i32> {
        let mut state = self.state();
        state.steps += 1;
        let left = state.processes.values().filter(|one| one.runs() && one.parent == 0);
        left.map(|one| one.pid).collect()
    }

    fn signal_left(&self, signal: Signal) {
        for pid in self.left() {
            let _ = self.signal(Pid::from_raw(pid), signal);
        }
    }
}
