//! What follows from an exit that was not requested: a restart, rest or failure.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Note};
use super::machine::Life;
use super::settings::Settings;
use super::state::{Fault, State, later};
use crate::config::{Phase, Restart};
use crate::supervisor::exit::{Exit, INTERNAL};

impl Life {
    /// Applies `restart`, `backoff` and `max_restarts` to an exit that was not requested.
    pub(super) fn apply_restart_policy(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let success = fault.is_none()
            && matches!(exit, Some(Exit::Code(code)) if self.settings.success.contains(&code));
        let again = match self.settings.restart {
            Restart::Always => !(self.settings.oneshot && success),
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        // The app did not end by itself, so `restart` does not say what follows.
        let again = again || fault == Some(Fault::Memory);
        if again {
            self.retry(exit, fault, now, actions);
        } else if success {
            self.succeeded = true;
            let phase = match self.settings {
                Settings { oneshot: true, .. } => Phase::Finished,
                // Programs that end by themselves when nobody uses them.
                Settings { sleeps: true, .. } => Phase::Idle,
                _ => Phase::Stopped,
            };
            self.rest(phase, actions);
        } else {
            let why = fault.map_or("it exited, and `restart` does not start it again", Fault::text);
            self.fail(exit, fault, why, actions);
        }
    }

    fn retry(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        while self.recent.front().is_some_and(|at| now - *at > self.settings.window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.settings.max_restarts as usize {
            return self.fail(exit, fault, "it was restarted too often", actions);
        }
        self.recent.push_back(now);
        let after = if fault == Some(Fault::Memory) {
            Duration::ZERO
        } else {
            let pause = self.settings.pause(self.attempts, (self.jitter)());
            self.attempts = self.attempts.saturating_add(1);
            pause
        };
        self.state = State::Backoff { until: later(now, after) };
        actions.push(Action::Log(Note::Restarts { after }));
    }

    pub(super) fn fail(
        &mut self,
        exit: Option<Exit>,
        fault: Option<Fault>,
        why: &'static str,
        actions: &mut Vec<Action>,
    ) {
        self.state = State::Rest(Phase::Failed);
        actions.push(Action::Log(Note::Failed { exit, why }));
        if self.settings.critical {
            // The supervisor ended the process, so the exit code is not the app's own.
            let ended_by_supervisor =
                matches!(fault, Some(Fault::Late | Fault::Hangs | Fault::Memory));
            let own = exit.filter(|_| !ended_by_supervisor);
            actions.push(Action::FailCritical(own.map_or(INTERNAL, Exit::as_failure)));
        }
    }
}
