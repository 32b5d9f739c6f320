//! What follows from an end that nobody wished.

use tokio::time::Instant;

use super::action::{Action, Note};
use super::machine::Life;
use super::state::{Fault, State, later};
use crate::config::{Phase, Restart};
use crate::supervisor::exit::{Exit, INTERNAL};

impl Life {
    /// What the restart policy says about an end that nobody wished.
    pub(super) fn judge(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        now: Instant,
        todo: &mut Vec<Action>,
    ) {
        let success = fault.is_none()
            && matches!(exit, Some(Exit::Code(code)) if self.settings.success.contains(&code));
        let again = match self.settings.restart {
            Restart::Always => !(self.settings.oneshot && success),
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if again {
            self.retry(exit, fault, now, todo);
        } else if success {
            self.succeeded = true;
            let phase = if self.settings.oneshot { Phase::Finished } else { Phase::Stopped };
            self.rest(phase, todo);
        } else {
            let why = fault.map_or("it ended and is not to be restarted", Fault::text);
            self.fail(exit, fault, why, todo);
        }
    }

    fn retry(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        now: Instant,
        todo: &mut Vec<Action>,
    ) {
        while self.recent.front().is_some_and(|at| now - *at > self.settings.window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.settings.max_restarts as usize {
            return self.fail(exit, fault, "it was restarted too often", todo);
        }
        self.recent.push_back(now);
        let after = self.settings.pause(self.attempts, (self.spread)());
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Backoff { until: later(now, after) };
        todo.push(Action::Say(Note::Restarts { after }));
    }

    fn fail(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        why: &'static str,
        todo: &mut Vec<Action>,
    ) {
        self.state = State::Rest(Phase::Failed);
        todo.push(Action::Say(Note::Failed { exit, why }));
        if self.settings.critical {
            // An end that we brought about gives no exit code of its own.
            let ours = matches!(fault, Some(Fault::Late | Fault::Hangs));
            let own = exit.filter(|_| !ours);
            todo.push(Action::Fail(own.map_or(INTERNAL, Exit::as_failure)));
        }
    }
}
