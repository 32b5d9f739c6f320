//! Transitions from waiting to ready.

use tokio::time::Instant;

use super::action::{Action, Note};
use super::event::Need;
use super::machine::Life;
use super::state::{Fault, State, Then, later};
use crate::config::Phase;
use crate::supervisor::exit::Exit;

impl Life {
    pub(super) fn start(&mut self) {
        match &mut self.state {
            State::Rest(_) | State::Backoff { .. } => self.wait_afresh(),
            State::Ending { then, .. } => *then = Then::Fresh,
            State::Waiting | State::SettingUp | State::Starting { .. } | State::Up { .. } => {}
        }
    }

    /// An app that is ending is started again when it has ended.
    pub(super) fn wake(&mut self, need: Need, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Rest(Phase::Idle) => self.wait_afresh(),
            State::Ending { then: then @ Then::Sleep, .. } => *then = Then::Fresh,
            _ => return,
        }
        actions.push(Action::Log(Note::Wakes(need)));
    }

    pub(super) fn wait_afresh(&mut self) {
        self.recent.clear();
        self.attempts = 0;
        self.started = false;
        self.succeeded = false;
        self.state = State::Waiting;
    }

    pub(super) fn set_up(&mut self, actions: &mut Vec<Action>) {
        self.generation += 1;
        self.state = State::SettingUp;
        actions.push(Action::SetUp(self.generation));
    }

    /// An app whose setup has succeeded waits for its turn again. A failed setup is not repeated
    /// before a start command: it would download the same packages again and again.
    pub(super) fn set_up_ended(&mut self, done: bool, actions: &mut Vec<Action>) {
        if self.state != State::SettingUp {
            return;
        }
        if done {
            self.state = State::Waiting;
        } else {
            self.fail(None, Some(Fault::NotSetUp), Fault::NotSetUp.text(), actions);
        }
    }

    pub(super) fn spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.generation += 1;
        let limited = self.settings.process && self.settings.probed;
        let deadline = limited.then(|| later(now, self.settings.deadline));
        self.state = State::Starting { since: now, deadline };
        actions.push(Action::Spawn(self.generation));
    }

    pub(super) fn spawned(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.started = true;
        if !matches!(self.state, State::Starting { .. }) {
            return;
        }
        if self.settings.probed {
            actions.push(Action::StartReadyProbe(self.generation));
        } else if !self.settings.oneshot {
            self.become_ready(now, actions);
        }
    }

    pub(super) fn become_ready(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let State::Starting { since, .. } = self.state {
            self.state = State::Up { ready: Some(now), timeouts: 0, failures: 0 };
            actions.push(Action::Log(Note::Ready { after: now - since }));
            actions.push(Action::StartLiveProbe(self.generation));
        }
    }

    pub(super) fn not_spawned(
        &mut self,
        exit: Option<Exit>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match self.state {
            State::Starting { .. } => {
                self.last_exit = exit;
                actions.push(Action::StopProbes);
                self.apply_restart_policy(exit, Some(Fault::NotSpawned), now, actions);
            }
            State::Ending { then, .. } => self.ended(exit, then, now, actions),
            _ => {}
        }
    }
}
