//! What answers of probes change.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Note};
use super::event::Answer;
use super::machine::Life;
use super::state::{Fault, State, Then};

/// Ready for that long, an app has recovered: its next crash waits the shortest back-off.
const RECOVERED: Duration = Duration::from_secs(10);
/// Unanswered probes in a row after which a ready app counts as unready. A wrong answer counts
/// at once; silence alone may just mean that it is busy.
const SILENCES: u32 = 3;

impl Life {
    pub(super) fn heard_ready(&mut self, answer: Answer, now: Instant, todo: &mut Vec<Action>) {
        if self.settings.oneshot || self.leaderless == self.generation {
            return;
        }
        // Before it may become unready: a child that hangs falls silent before it is ended.
        self.note_recovery(now);
        match (&mut self.state, answer) {
            (State::Starting { .. }, Answer::Yes) => self.become_ready(now, todo),
            (State::Up { ready: ready @ None, silences, .. }, Answer::Yes) => {
                *silences = 0;
                *ready = Some(now);
                todo.push(Action::Say(Note::ReadyAgain));
            }
            (State::Up { silences, .. }, Answer::Yes) => *silences = 0,
            (State::Up { ready: ready @ Some(_), silences, .. }, answer) => {
                *silences += 1;
                if answer == Answer::No || *silences >= SILENCES {
                    *ready = None;
                    todo.push(Action::Say(Note::Unready));
                }
            }
            _ => {}
        }
    }

    pub(super) fn heard_live(&mut self, answer: Answer, now: Instant, todo: &mut Vec<Action>) {
        let limit = self.settings.live_failures.max(1);
        let State::Up { misses, .. } = &mut self.state else { return };
        if answer == Answer::Yes {
            *misses = 0;
            return;
        }
        *misses += 1;
        if *misses >= limit && self.settings.process {
            todo.push(Action::Say(Note::Hangs(limit)));
            self.note_recovery(now);
            let then = Then::Judge(Some(Fault::Hangs));
            self.end(then, self.settings.stop.timeout, now, todo);
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
