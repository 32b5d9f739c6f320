//! What follows from an end that nobody wished.

use tokio::time::Instant;

use super::{Action, Life, Note, State, later};
use crate::config::{Phase, Restart};
use crate::supervisor::{Exit, INTERNAL};

/// What we, not its process, found to be the end of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NotSpawned,
    Late,
    Hangs,
}

impl Fault {
    fn text(self) -> &'static str {
        match self {
            Self::NotSpawned => "it could not be started",
            Self::Late => "it was not ready within its deadline",
            Self::Hangs => "its live probe failed",
        }
    }
}

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
            && matches!(exit, Some(Exit::Code(code)) if self.plan.success.contains(&code));
        let again = match self.plan.restart {
            Restart::Always => !(self.plan.oneshot && success),
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if again {
            self.retry(exit, fault, now, todo);
        } else if success {
            self.succeeded = true;
            let phase = if self.plan.oneshot { Phase::Finished } else { Phase::Stopped };
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
        while self.recent.front().is_some_and(|at| now - *at > self.plan.window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.plan.max_restarts as usize {
            return self.fail(exit, fault, "it was restarted too often", todo);
        }
        self.recent.push_back(now);
        let after = self.plan.pause(self.attempts, (self.spread)());
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
        if self.plan.critical {
            // An end that we brought about gives no exit code of its own.
            let ours = matches!(fault, Some(Fault::Late | Fault::Hangs));
            let own = exit.filter(|_| !ours);
            todo.push(Action::Fail(own.map_or(INTERNAL, Exit::as_failure)));
        }
    }
}
