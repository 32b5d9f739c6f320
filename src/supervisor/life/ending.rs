//! How what runs is ended: stop, restart, kill, and the end itself.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Note};
use super::machine::Life;
use super::state::{Fault, State, Then, later};
use crate::config::Phase;
use crate::supervisor::exit::Exit;

/// After KILL: pause before looking whether the group has gone without our being told.
const LOOK: Duration = Duration::from_millis(500);
/// Looks after which a stop no longer waits for what the kernel cannot end.
pub(super) const LOOKS: u32 = 4;

impl Life {
    pub(super) fn exited(
        &mut self,
        exit: Exit,
        survivors: bool,
        now: Instant,
        todo: &mut Vec<Action>,
    ) {
        match &mut self.state {
            State::Starting { .. } | State::Up { .. } => {
                self.last_exit = Some(exit);
                self.note_recovery(now);
                todo.push(Action::Quiet);
                if survivors {
                    self.end(Then::Judge(None), self.settings.stop.timeout, now, todo);
                    if let State::Ending { exit: of_leader, .. } = &mut self.state {
                        *of_leader = Some(exit);
                    }
                } else {
                    self.judge(Some(exit), None, now, todo);
                }
            }
            State::Ending { exit: of_leader, gone, then, looks, .. } => {
                self.last_exit = Some(exit);
                *of_leader = Some(exit);
                *gone |= !survivors;
                if *gone {
                    let then = *then;
                    self.ended(Some(exit), then, now, todo);
                } else if looks.is_none() {
                    todo.push(Action::AskDaemons(self.generation));
                } else {
                    // Of what left the group, more can be found now that the leader has ended.
                    todo.push(Action::Kill(self.generation));
                }
            }
            _ => {}
        }
    }

    /// Nobody is served by an app without a leader, also while the end of its output is awaited:
    /// its port is free for others to take.
    pub(super) fn leader_ended(&mut self, now: Instant) {
        self.note_recovery(now);
        self.leaderless = self.generation;
        if let State::Up { ready, .. } = &mut self.state {
            *ready = None;
        }
    }

    pub(super) fn gone(&mut self, now: Instant, todo: &mut Vec<Action>) {
        if let State::Ending { exit, gone, then, .. } = &mut self.state {
            *gone = true;
            if let (Some(exit), then) = (*exit, *then) {
                self.ended(Some(exit), then, now, todo);
            }
        }
    }

    pub(super) fn stop(&mut self, within: Duration, now: Instant, todo: &mut Vec<Action>) {
        match &mut self.state {
            State::Rest(phase) => *phase = Phase::Stopped,
            State::Waiting | State::Backoff { .. } => self.rest(Phase::Stopped, todo),
            State::Ending { then, due, looks, .. } => {
                *then = Then::Stop;
                if looks.is_none() {
                    *due = (*due).min(later(now, within.min(self.settings.stop.timeout)));
                }
            }
            State::Starting { .. } | State::Up { .. } => {
                self.end(Then::Stop, within.min(self.settings.stop.timeout), now, todo);
            }
        }
    }

    pub(super) fn restart(&mut self, now: Instant, todo: &mut Vec<Action>) {
        if matches!(self.state, State::Starting { .. } | State::Up { .. }) {
            self.restarts += 1;
            self.end(Then::Fresh, self.settings.stop.timeout, now, todo);
        } else {
            self.start();
        }
    }

    pub(super) fn kill(&mut self, now: Instant, todo: &mut Vec<Action>) {
        self.stop(Duration::ZERO, now, todo);
        if let State::Ending { due, looks, .. } = &mut self.state {
            *looks = Some(looks.unwrap_or(0));
            *due = now + LOOK;
            todo.retain(|action| !matches!(action, Action::Ask(_)));
            todo.push(Action::Kill(self.generation));
        }
    }

    /// Begins to end what runs.
    pub(super) fn end(
        &mut self,
        then: Then,
        timeout: Duration,
        now: Instant,
        todo: &mut Vec<Action>,
    ) {
        todo.retain(|action| *action != Action::Quiet);
        todo.push(Action::Quiet);
        if !self.settings.process {
            return self.ended(None, then, now, todo);
        }
        let due = later(now, timeout);
        self.state = State::Ending { exit: None, gone: false, then, due, looks: None };
        todo.push(Action::Ask(self.generation));
    }

    pub(super) fn ended(
        &mut self,
        exit: Option<Exit>,
        then: Then,
        now: Instant,
        todo: &mut Vec<Action>,
    ) {
        match then {
            Then::Stop => self.rest(Phase::Stopped, todo),
            Then::Fresh => self.wait_afresh(),
            Then::Judge(fault) => self.judge(exit, fault, now, todo),
        }
    }

    pub(super) fn rest(&mut self, phase: Phase, todo: &mut Vec<Action>) {
        self.state = State::Rest(phase);
        let note = if phase == Phase::Finished { Note::Finished } else { Note::Stopped };
        todo.push(Action::Say(note));
    }

    pub(super) fn tick(&mut self, now: Instant, todo: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting { .. } => {
                todo.push(Action::Say(Note::Late(self.settings.deadline)));
                let then = Then::Judge(Some(Fault::Late));
                self.end(then, self.settings.stop.timeout, now, todo);
            }
            State::Backoff { .. } => {
                self.restarts += 1;
                self.spawn(now, todo);
            }
            State::Ending { looks: looks @ None, due, .. } => {
                *looks = Some(0);
                *due = now + LOOK;
                todo.push(Action::Say(Note::Killed));
                todo.push(Action::Kill(self.generation));
            }
            State::Ending { looks: Some(looks), due, then, .. } => {
                *looks += 1;
                *due = now + LOOK;
                let hopeless = *looks >= LOOKS && *then == Then::Stop;
                if *looks == LOOKS {
                    todo.push(Action::Say(Note::Undead));
                }
                if hopeless {
                    self.rest(Phase::Stopped, todo);
                } else {
                    todo.push(Action::Kill(self.generation));
                    todo.push(Action::Look(self.generation));
                }
            }
            State::Rest(_) | State::Waiting | State::Up { .. } => {}
        }
    }
}
