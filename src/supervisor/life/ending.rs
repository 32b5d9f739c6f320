//! Transitions that end an app: stop, restart, kill, and the exit of its process.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Note};
use super::event::Excess;
use super::machine::Life;
use super::state::{Fault, State, Then, later};
use crate::config::Phase;
use crate::supervisor::exit::Exit;

/// After KILL: pause between checks whether the process group is gone. The reaper is not notified
/// when another process reaps the last member.
const CHECK_PAUSE: Duration = Duration::from_millis(500);
/// Number of checks after which a stop gives up on a process that the kernel cannot end.
pub(super) const MAX_CHECKS: u32 = 4;

impl Life {
    pub(super) fn exited(
        &mut self,
        exit: Exit,
        survivors: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::Starting { .. } | State::Up { .. } => {
                self.last_exit = Some(exit);
                self.note_recovery(now);
                actions.push(Action::StopProbes);
                if survivors {
                    self.end(Then::ApplyPolicy(None), self.settings.stop.timeout, now, actions);
                    if let State::Ending { exit: of_leader, .. } = &mut self.state {
                        *of_leader = Some(exit);
                    }
                } else {
                    self.apply_restart_policy(Some(exit), None, now, actions);
                }
            }
            State::Ending { exit: of_leader, gone, then, checks, .. } => {
                self.last_exit = Some(exit);
                *of_leader = Some(exit);
                *gone |= !survivors;
                if *gone {
                    let then = *then;
                    self.ended(Some(exit), then, now, actions);
                } else if checks.is_none() {
                    actions.push(Action::TerminateDaemons(self.generation));
                } else {
                    // Daemons that the leader has orphaned can be found only now.
                    actions.push(Action::Kill(self.generation));
                }
            }
            _ => {}
        }
    }

    /// Without a leader the app is not ready, also while the rest of its output is read: another
    /// program can take its port.
    pub(super) fn leader_ended(&mut self, now: Instant) {
        self.note_recovery(now);
        self.leaderless = self.generation;
        if let State::Up { ready, .. } = &mut self.state {
            *ready = None;
        }
    }

    pub(super) fn gone(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let State::Ending { exit, gone, then, .. } = &mut self.state {
            *gone = true;
            if let (Some(exit), then) = (*exit, *then) {
                self.ended(Some(exit), then, now, actions);
            }
        }
    }

    pub(super) fn stop(&mut self, within: Duration, now: Instant, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Rest(phase) => *phase = Phase::Stopped,
            State::Waiting | State::Backoff { .. } => self.rest(Phase::Stopped, actions),
            State::SettingUp => {
                actions.push(Action::StopSetup);
                self.rest(Phase::Stopped, actions);
            }
            State::Ending { then, due, checks, .. } => {
                *then = Then::Stop;
                if checks.is_none() {
                    *due = (*due).min(later(now, within.min(self.settings.stop.timeout)));
                }
            }
            State::Starting { .. } | State::Up { .. } => {
                self.end(Then::Stop, within.min(self.settings.stop.timeout), now, actions);
            }
        }
    }

    pub(super) fn restart(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Starting { .. } | State::Up { .. }) {
            self.restarts += 1;
            self.end(Then::Fresh, self.settings.stop.timeout, now, actions);
        } else {
            self.start();
        }
    }

    pub(super) fn sleep(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.state {
            _ if !self.settings.sleeps => {}
            State::Up { .. } => {
                self.end(Then::Sleep, self.settings.stop.timeout, now, actions);
            }
            // A process of an app whose other processes are up: it is started with them.
            State::Waiting | State::Backoff { .. } => self.rest(Phase::Idle, actions),
            _ => {}
        }
    }

    pub(super) fn outgrown(&mut self, excess: Excess, now: Instant, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Starting { .. } | State::Up { .. }) && self.settings.process
        {
            actions.push(Action::Log(Note::TooMuchMemory(excess)));
            self.note_recovery(now);
            let then = Then::ApplyPolicy(Some(Fault::Memory));
            self.end(then, self.settings.stop.timeout, now, actions);
        }
    }

    pub(super) fn kill(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.stop(Duration::ZERO, now, actions);
        if let State::Ending { due, checks, .. } = &mut self.state {
            *checks = Some(checks.unwrap_or(0));
            *due = now + CHECK_PAUSE;
            actions.retain(|action| !matches!(action, Action::Terminate(_)));
            actions.push(Action::Kill(self.generation));
        }
    }

    /// Begins to end the running incarnation.
    pub(super) fn end(
        &mut self,
        then: Then,
        timeout: Duration,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        actions.retain(|action| *action != Action::StopProbes);
        actions.push(Action::StopProbes);
        if !self.settings.process {
            return self.ended(None, then, now, actions);
        }
        let due = later(now, timeout);
        self.state = State::Ending { exit: None, gone: false, then, due, checks: None };
        actions.push(Action::Terminate(self.generation));
    }

    pub(super) fn ended(
        &mut self,
        exit: Option<Exit>,
        then: Then,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match then {
            Then::Stop => self.rest(Phase::Stopped, actions),
            Then::Sleep => self.rest(Phase::Idle, actions),
            Then::Fresh => self.wait_afresh(),
            Then::ApplyPolicy(fault) => self.apply_restart_policy(exit, fault, now, actions),
        }
    }

    pub(super) fn rest(&mut self, phase: Phase, actions: &mut Vec<Action>) {
        self.state = State::Rest(phase);
        let note = match phase {
            Phase::Finished => Note::Finished,
            Phase::Idle => Note::Asleep,
            _ => Note::Stopped,
        };
        actions.push(Action::Log(note));
    }

    pub(super) fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting { .. } => {
                actions.push(Action::Log(Note::Late(self.settings.deadline)));
                let then = Then::ApplyPolicy(Some(Fault::Late));
                self.end(then, self.settings.stop.timeout, now, actions);
            }
            State::Backoff { .. } => {
                self.restarts += 1;
                self.spawn(now, actions);
            }
            State::Ending { checks: checks @ None, due, .. } => {
                *checks = Some(0);
                *due = now + CHECK_PAUSE;
                actions.push(Action::Log(Note::Killed));
                actions.push(Action::Kill(self.generation));
            }
            State::Ending { checks: Some(checks), due, then, .. } => {
                *checks += 1;
                *due = now + CHECK_PAUSE;
                let hopeless = *checks >= MAX_CHECKS && *then == Then::Stop;
                if *checks == MAX_CHECKS {
                    actions.push(Action::Log(Note::Unkillable));
                }
                if hopeless {
                    self.rest(Phase::Stopped, actions);
                } else {
                    actions.push(Action::Kill(self.generation));
                    actions.push(Action::CheckGroup(self.generation));
                }
            }
            State::Rest(_) | State::Waiting | State::SettingUp | State::Up { .. } => {}
        }
    }
}
