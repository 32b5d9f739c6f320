//! Transitions caused by the answers of probes.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Note};
use super::event::Answer;
use super::machine::Life;
use super::state::{Fault, State, Then};

/// An app that was ready for this long has recovered: its next crash waits for the shortest
/// back-off.
const RECOVERED: Duration = Duration::from_secs(10);
/// Number of probe timeouts in a row after which a ready app becomes unready. A wrong answer makes
/// the app unready at once; a timeout may only mean that the app is busy.
const MAX_TIMEOUTS: u32 = 3;

impl Life {
    pub(super) fn ready_answered(
        &mut self,
        answer: Answer,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.settings.oneshot {
            return;
        }
        // Noted before the app becomes unready: a hanging app fails its `ready` probe before its
        // `live` probe.
        self.note_recovery(now);
        match (&mut self.state, answer) {
            (State::Starting { .. }, Answer::Yes) => self.become_ready(now, actions),
            (State::Up { ready: ready @ None, timeouts, .. }, Answer::Yes) => {
                *timeouts = 0;
                *ready = Some(now);
                actions.push(Action::Log(Note::ReadyAgain));
            }
            (State::Up { timeouts, .. }, Answer::Yes) => *timeouts = 0,
            (State::Up { ready: ready @ Some(_), timeouts, .. }, answer) => {
                *timeouts += 1;
                if answer == Answer::No || *timeouts >= MAX_TIMEOUTS {
                    *ready = None;
                    actions.push(Action::Log(Note::Unready));
                }
            }
            _ => {}
        }
    }

    pub(super) fn live_answered(
        &mut self,
        answer: Answer,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let limit = self.settings.live_failures.max(1);
        let State::Up { failures, .. } = &mut self.state else { return };
        if answer == Answer::Yes {
            *failures = 0;
            return;
        }
        *failures += 1;
        if *failures >= limit && self.settings.process {
            actions.push(Action::Log(Note::Hangs(limit)));
            self.note_recovery(now);
            let then = Then::ApplyPolicy(Some(Fault::Hangs));
            self.end(then, self.settings.stop.timeout, now, actions);
        }
    }

    pub(super) fn note_recovery(&mut self, now: Instant) {
        if let State::Up { ready: Some(since), .. } = self.state
            && now - since >= RECOVERED
        {
            self.attempts = 0;
        }
    }
}
