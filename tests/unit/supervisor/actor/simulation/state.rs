//! The processes of the simulated kernel, and what becomes of them.

use std::collections::BTreeMap;
use std::io::{PipeWriter, Write as _};
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::time::Instant;

use super::process::{Deed, Process, Role};
use super::trace::Trace;
use crate::supervisor::exit::Exit;

/// No process of the machine has such a number.
const FIRST: i32 = 1 << 29;

/// Says why a leader must not be spawned: app, number of the configuration, number of start attempts
/// since somebody asked for one.
pub(super) type Check = Box<dyn Fn(&str, u64, u32) -> Option<String> + Send>;

pub(super) struct State {
    pub(super) rng: Rng,
    pub(super) processes: BTreeMap<i32, Process>,
    pub(super) pipes: Vec<PipeWriter>,
    pub(super) agenda: BTreeMap<(Instant, u64), (i32, Deed)>,
    made: i32,
    planned: u64,
    /// Events and calls of the kernel.
    pub(super) steps: u64,
    /// Start attempts of each app since somebody asked for its start.
    pub(super) unasked: BTreeMap<String, u32>,
    /// How often each process was started.
    pub(super) spawned: BTreeMap<String, u32>,
    pub(super) violations: Vec<String>,
    trace: Trace,
    /// From now on, everything works.
    pub(super) is_calm: bool,
    /// Number of reasons why the supervisor does not know everything yet: an event is on its way, or the
    /// machine is suspended.
    pub(super) holds: u32,
    /// The appliance ends.
    pub(super) is_ending: bool,
    /// When something last happened.
    pub(super) busy: Option<Instant>,
    pub(super) check: Option<Check>,
}

impl State {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            processes: BTreeMap::new(),
            pipes: Vec::new(),
            agenda: BTreeMap::new(),
            made: 0,
            planned: 0,
            steps: 0,
            unasked: BTreeMap::new(),
            spawned: BTreeMap::new(),
            violations: Vec::new(),
            trace,
            is_calm: false,
            holds: 0,
            is_ending: false,
            busy: None,
            check: None,
        }
    }

    /// Whether something happens that happens in one of `of` cases.
    pub(super) fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(0..of) == 0
    }

    pub(super) fn violate(&mut self, text: String) {
        self.note(|| format!("VIOLATION: {text}"));
        self.trace.close();
        // The same kind once.
        let kind = |text: &str| -> String {
            let words =
                text.split(' ').filter(|word| word.len() > 3 && !word.ends_with(char::is_numeric));
            words.take(5).collect()
        };
        if !self.violations.iter().any(|one| kind(one) == kind(&text)) {
            self.violations.push(text);
        }
    }

    /// Counts a step and notes it in the trace.
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        self.steps += 1;
        self.busy = Some(Instant::now());
        self.trace.note(text);
    }

    pub(super) fn digest(&self) -> u64 {
        // The generator has seen every decision.
        self.trace.digest() ^ self.rng.get_seed()
    }

    pub(super) fn trace(&self) -> String {
        self.trace.text()
    }

    fn ms(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    pub(super) fn plan(&mut self, pid: i32, at: Instant, deed: Deed) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), (pid, deed));
    }

    pub(super) fn plan_in(&mut self, pid: i32, range: Range<u64>, deed: Deed) {
        let at = Instant::now() + self.ms(range);
        self.plan(pid, at, deed);
    }

    /// Carries out what is due; whether a child of the appliance has ended.
    pub(super) fn act(&mut self) -> bool {
        let mut child_ended = false;
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > Instant::now() {
                break;
            }
            let (pid, deed) = entry.remove();
            let Some(one) = self.processes.get(&pid).filter(|one| one.runs()) else { continue };
            let (role, app) = (one.role, one.app.clone());
            self.note(|| format!("{role:?} {pid} of {app}: {deed:?}"));
            child_ended |= self.carry_out(pid, deed);
        }
        child_ended
    }

    fn carry_out(&mut self, pid: i32, deed: Deed) -> bool {
        let Some(one) = self.processes.get_mut(&pid) else { return false };
        match deed {
            Deed::Exit(exit) => return self.exit(pid, exit),
            Deed::Fork(role) => self.fork(pid, role),
            Deed::Report if one.suspended => {}
            Deed::Report => {
                for output in &mut one.outputs {
                    let _ = output.write_all(b"started\nready\n");
                }
            }
            Deed::BecomeReady => one.health.is_ready = true,
            Deed::Hang(hangs) => one.health.hangs = hangs,
        }
        false
    }

    /// Ends a process; whether the appliance is its parent.
    pub(super) fn exit(&mut self, pid: i32, exit: Exit) -> bool {
        let Some(one) = self.processes.get_mut(&pid) else { return false };
        one.ended = Some(exit);
        one.outputs.clear();
        if let (Exit::Code(0), Some(path)) = (exit, &one.creates) {
            let _ = std::fs::write(path, "");
        }
        let parent = one.parent;
        for child in self.processes.values_mut().filter(|child| child.parent == pid) {
            child.parent = 0;
        }
        if parent != 0 {
            // Its parent waits for it.
            self.processes.remove(&pid);
        }
        parent == 0
    }

    /// A leader forks now.
    pub(super) fn begin(&mut self, leader: Pid, role: Role) {
        self.fork(leader.as_raw(), role);
    }

    /// A leader ends now.
    pub(super) fn end(&mut self, leader: Pid) {
        self.exit(leader.as_raw(), Exit::Code(0));
    }

    pub(super) fn fork(&mut self, pid: i32, role: Role) {
        let Some(parent) = self.processes.get(&pid) else { return };
        let outputs = parent.outputs.iter().filter_map(|output| output.try_clone().ok()).collect();
        let (app, version, incarnation) = (parent.app.clone(), parent.version, parent.incarnation);
        let group = if role == Role::Daemon { None } else { Some(parent.group) };
        let parent = if role == Role::Daemon { 0 } else { pid };
        let child = self.make(&app, role, version, outputs);
        if let Some(one) = self.processes.get_mut(&child) {
            (one.parent, one.incarnation) = (parent, incarnation);
            one.group = group.unwrap_or(child);
        }
        if self.chance(2) {
            self.plan_in(child, 0..3_000, Deed::Exit(Exit::Code(0)));
        }
    }

    pub(super) fn make(
        &mut self,
        app: &str,
        role: Role,
        version: u64,
        outputs: Vec<PipeWriter>,
    ) -> i32 {
        self.made += 1;
        let pid = FIRST + self.made;
        self.processes.insert(pid, Process::new(pid, app, role, version, outputs));
        pid
    }

    /// A process receives a signal.
    pub(super) fn receive(&mut self, pid: i32, signal: Signal) {
        self.note(|| format!("{pid} receives {signal}"));
        let Some(one) = self.processes.get_mut(&pid).filter(|one| one.runs()) else { return };
        let ends = Deed::Exit(Exit::Signal(signal as i32));
        match signal {
            Signal::SIGKILL => {
                // A process inside of a system call ends a moment later.
                let late = !self.is_calm && self.chance(6);
                self.plan_in(pid, if late { 0..700 } else { 0..1 }, ends);
            }
            Signal::SIGSTOP => one.suspended = true,
            Signal::SIGCONT => {
                let waits = std::mem::take(&mut one.suspended) && one.asked;
                if waits {
                    self.ask(pid, ends);
                }
            }
            Signal::SIGTERM => {
                one.asked = true;
                if !one.suspended {
                    self.ask(pid, ends);
                }
            }
            _ => {}
        }
    }
}
