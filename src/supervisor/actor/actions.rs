//! Carries out the actions that the state machine of an app returns.

use std::time::SystemTime;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::incarnation::{Incarnation, Launcher, Subject};
use super::log;
use super::supervised::Supervised;
use super::supervisor::Supervisor;
use crate::config::{Phase, StopPlan, StopTarget};
use crate::supervisor::handle::Critical;
use crate::supervisor::life::action::{Action, Note};
use crate::supervisor::life::event::{Event, Generation};
use crate::supervisor::process::reaper::Reaper;

impl Supervisor {
    pub(super) fn carry_out(&mut self, index: usize, action: Action) -> Option<Event> {
        let supervised = &mut self.apps[index];
        let pid = supervised.incarnation.as_ref().and_then(Incarnation::pid);
        let reaper = &self.launcher.reaper;
        match action {
            Action::Spawn(generation) => return self.start(index, generation),
            // Its process is not forked yet.
            Action::Terminate(generation) | Action::Kill(generation) if pid.is_none() => {
                supervised.incarnation = None;
                return Some(Event::NotSpawned(generation, None));
            }
            Action::StartReadyProbe(generation) => {
                self.start_probe(index, generation, Launcher::start_ready_probe);
            }
            Action::SetUp(generation) => self.set_up(index, generation),
            Action::StopSetup => (supervised.setup, supervised.setup_saw) = (None, None),
            Action::StartLiveProbe(generation) => {
                self.start_probe(index, generation, Launcher::start_live_probe);
            }
            Action::StopProbes => {
                if let Some(incarnation) = &mut supervised.incarnation {
                    incarnation.stop_probes();
                }
            }
            Action::Terminate(_) => {
                if let Some(pid) = pid {
                    terminate(reaper, pid, supervised.app.stop);
                }
            }
            Action::TerminateDaemons(_) => {
                if let Some(pid) = pid {
                    let stop = supervised.app.stop;
                    if stop.target == StopTarget::Leader {
                        // Without its leader, nobody else ends the rest of the group.
                        terminate_group(reaper, pid, stop.signal);
                    }
                    terminate_daemons(reaper, pid, stop.signal);
                }
            }
            Action::Kill(_) => {
                if let Some(pid) = pid {
                    reaper.kill(pid);
                }
            }
            Action::CheckGroup(_) => {
                if let Some(pid) = pid {
                    reaper.check_group(pid);
                }
            }
            Action::FailCritical(code) => self.fail_critical(index, code),
            Action::Log(note) => self.tell(index, note),
        }
        None
    }

    /// Tells the log, `status` and the alerts what has happened to an app.
    fn tell(&mut self, index: usize, note: Note) {
        let supervised = &mut self.apps[index];
        let reason = supervised.incarnation.as_ref().map(Incarnation::last_failure);
        let reason = reason.unwrap_or_default();
        supervised.note_trouble(note, &reason);
        if self.stopping.is_none() {
            // Nobody may want to know.
            let _ = supervised.incident(note, &reason).map(|one| self.incidents.send(one));
        }
        log::note(&supervised.app, note, reason);
        if matches!(note, Note::Failed { .. } | Note::Stopped) && self.stopping.is_none() {
            self.log_blocked_dependents(index);
        }
    }

    /// Tells the app whose end ends the appliance. The first one counts.
    fn fail_critical(&self, index: usize, code: u8) {
        let name = self.apps[index].name();
        // An app with several processes has failed when all of them have.
        let is_up = |other: &Supervised| {
            other.is_process_of(name.app()) && other.life.phase() != Phase::Failed
        };
        if self.apps.iter().enumerate().any(|(at, other)| at != index && is_up(other)) {
            return;
        }
        let app = name.clone();
        self.critical.send_if_modified(|critical| {
            let first = critical.is_none();
            critical.get_or_insert(Critical { app, code });
            first
        });
    }

    fn start_probe(
        &mut self,
        index: usize,
        generation: Generation,
        start: fn(&Launcher, &Subject, &mut Incarnation),
    ) {
        let supervised = &mut self.apps[index];
        let subject = supervised.subject(generation);
        if let Some(incarnation) = &mut supervised.incarnation {
            start(&self.launcher, &subject, incarnation);
        }
    }

    fn set_up(&mut self, index: usize, generation: Generation) {
        let supervised = &mut self.apps[index];
        let subject = supervised.subject(generation);
        supervised.setup_saw = Some(subject.app.clone());
        supervised.setup = Some(self.launcher.set_up(subject));
    }

    fn start(&mut self, index: usize, generation: Generation) -> Option<Event> {
        let supervised = &mut self.apps[index];
        // Set here as well: an app that fails at once goes through a new phase without a visible
        // change.
        supervised.since = SystemTime::now();
        supervised.trouble = None;
        supervised.begin_span();
        if supervised.app.run.is_none() {
            supervised.incarnation = Some(Incarnation::default());
            return Some(Event::Spawned(generation));
        }
        let subject = supervised.subject(generation);
        supervised.incarnation = Some(self.launcher.launch(&subject));
        None
    }

    /// Notes why the process of an app could not be started.
    pub(super) fn note_launch_failure(&mut self, index: usize, generation: Generation) {
        let supervised = &mut self.apps[index];
        if supervised.life.generation() == generation
            && let Some(incarnation) = supervised.incarnation.take()
        {
            supervised.trouble = Some(incarnation.last_failure());
        }
    }
}

fn terminate(reaper: &Reaper, leader: Pid, stop: StopPlan) {
    if stop.target == StopTarget::Leader && reaper.signal(leader, stop.signal) {
        reaper.signal(leader, Signal::SIGCONT);
        return;
    }
    terminate_group(reaper, leader, stop.signal);
    terminate_daemons(reaper, leader, stop.signal);
}

fn terminate_group(reaper: &Reaper, leader: Pid, signal: Signal) {
    reaper.signal_group(leader, signal);
    // A process that is suspended (SIGSTOP) handles no signal before it continues.
    reaper.signal_group(leader, Signal::SIGCONT);
}

fn terminate_daemons(reaper: &Reaper, leader: Pid, signal: Signal) {
    reaper.signal_daemons(leader, signal);
    reaper.signal_daemons(leader, Signal::SIGCONT);
}
