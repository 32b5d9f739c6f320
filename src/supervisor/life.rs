//! The life of one app: a pure state machine.
//!
//! [`Life::on`] takes what happened and returns what has to be done; it spawns nothing, asks
//! nobody and reads no clock. Guarantees, whatever the order of events:
//!
//! - a process is spawned only when nothing of the one before is left, neither the leader nor a
//!   member of its group;
//! - `Stop` leads to [`Phase::Stopped`] from everywhere;
//! - what belongs to an earlier incarnation (its exit, its probes' answers) changes nothing: each
//!   carries the [`Generation`] it is about. A timer is a part of the state that waits for it, so
//!   that it cannot outlive it.

mod action;
mod event;
mod judge;
mod plan;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Exit;
use crate::config::Phase;

pub(super) use action::{Action, Note};
pub(super) use event::{Answer, Event, Generation};
use judge::Fault;
pub(super) use plan::Plan;

/// Ready for that long, an app has recovered: its next crash waits the shortest back-off.
const RECOVERED: Duration = Duration::from_secs(10);
/// Unanswered probes in a row after which a ready app counts as unready. A wrong answer counts
/// at once; silence alone may just mean that it is busy.
const SILENCES: u32 = 3;
/// After KILL: pause before looking whether the group has gone without our being told.
const LOOK: Duration = Duration::from_millis(500);
/// Looks after which a stop no longer waits for what the kernel cannot end.
const LOOKS: u32 = 4;

/// What comes when an incarnation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Rest.
    Stop,
    /// A fresh start.
    Fresh,
    /// Whatever the restart policy says.
    Judge(Option<Fault>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Rest(Phase),
    Waiting,
    Starting { since: Instant, deadline: Option<Instant> },
    Up { ready: Option<Instant>, silences: u32, misses: u32 },
    Ending { exit: Option<Exit>, gone: bool, then: Then, due: Instant, looks: Option<u32> },
    Backoff { until: Instant },
}

/// One app's state and counters.
#[derive(Debug)]
pub(super) struct Life {
    plan: Plan,
    /// A random number between -1 and 1.
    spread: fn() -> f64,
    state: State,
    generation: Generation,
    /// Restarts within the window.
    recent: VecDeque<Instant>,
    /// Attempts since it was last ready for long enough.
    attempts: u32,
    started: bool,
    succeeded: bool,
    pub(super) restarts: u64,
    pub(super) last_exit: Option<Exit>,
}

impl Life {
    /// Waiting for its turn. `spread` makes the jitter: a number between -1 and 1.
    pub(super) fn new(plan: Plan, spread: fn() -> f64) -> Self {
        Self {
            plan,
            spread,
            state: State::Waiting,
            generation: 0,
            recent: VecDeque::new(),
            attempts: 0,
            started: false,
            succeeded: false,
            restarts: 0,
            last_exit: None,
        }
    }

    /// Where it is, for everybody else.
    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Rest(phase) => phase,
            State::Waiting => Phase::Waiting,
            State::Starting { .. } => Phase::Starting,
            State::Up { ready: Some(_), .. } => Phase::Ready,
            State::Up { ready: None, .. } => Phase::Unready,
            State::Ending { .. } => Phase::Stopping,
            State::Backoff { .. } => Phase::Backoff,
        }
    }

    /// Whether a process of it ran since it was last told to start.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether it has ended with success and stays so.
    pub(super) fn has_finished(&self) -> bool {
        self.succeeded
    }

    /// Whether a process of it may be alive.
    pub(super) fn is_alive(&self) -> bool {
        let holds =
            matches!(self.state, State::Starting { .. } | State::Up { .. } | State::Ending { .. });
        holds && self.plan.process
    }

    /// When it wants an [`Event::Tick`].
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline, .. } => deadline,
            State::Ending { due, .. } => Some(due),
            State::Backoff { until } => Some(until),
            State::Rest(_) | State::Waiting | State::Up { .. } => None,
        }
    }

    /// Moves its timer: the time did not pass for its process either.
    pub(super) fn postpone(&mut self, by: Duration) {
        match &mut self.state {
            State::Starting { deadline: Some(due), .. }
            | State::Ending { due, .. }
            | State::Backoff { until: due } => *due += by,
            _ => {}
        }
    }

    /// Takes an event.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::Start => self.start(),
            Event::Go if self.state == State::Waiting => self.spawn(now, &mut todo),
            Event::Spawned(of) if of == self.generation => self.spawned(now, &mut todo),
            Event::NotSpawned(of, code) if of == self.generation => {
                self.not_spawned(code.map(Exit::Code), now, &mut todo);
            }
            Event::Exited { generation, exit, survivors } if generation == self.generation => {
                self.exited(exit, survivors, now, &mut todo);
            }
            Event::Gone(of) if of == self.generation => self.gone(now, &mut todo),
            Event::Ready(of, answer) if of == self.generation => {
                self.heard_ready(answer, now, &mut todo);
            }
            Event::Live(of, answer) if of == self.generation => {
                self.heard_live(answer, now, &mut todo);
            }
            Event::Stop { within } => self.stop(within, now, &mut todo),
            Event::Restart => self.restart(now, &mut todo),
            Event::Kill => self.kill(now, &mut todo),
            Event::Tick if self.due().is_some_and(|due| due <= now) => self.tick(now, &mut todo),
            _ => {}
        }
        todo
    }

    fn start(&mut self) {
        match &mut self.state {
            State::Rest(_) | State::Backoff { .. } => self.wait_afresh(),
            State::Ending { then, .. } => *then = Then::Fresh,
            State::Waiting | State::Starting { .. } | State::Up { .. } => {}
        }
    }

    fn wait_afresh(&mut self) {
        self.recent.clear();
        self.attempts = 0;
        self.started = false;
        self.succeeded = false;
        self.state = State::Waiting;
    }

    fn spawn(&mut self, now: Instant, todo: &mut Vec<Action>) {
        self.generation += 1;
        let limited = self.plan.process && self.plan.probed;
        let deadline = limited.then(|| later(now, self.plan.deadline));
        self.state = State::Starting { since: now, deadline };
        todo.push(Action::Spawn(self.generation));
    }

    fn spawned(&mut self, now: Instant, todo: &mut Vec<Action>) {
        self.started = true;
        if !self.plan.probed && !self.plan.oneshot {
            self.become_ready(now, todo);
        }
    }

    fn become_ready(&mut self, now: Instant, todo: &mut Vec<Action>) {
        if let State::Starting { since, .. } = self.state {
            self.state = State::Up { ready: Some(now), silences: 0, misses: 0 };
            todo.push(Action::Say(Note::Ready { after: now - since }));
            todo.push(Action::AskLive(self.generation));
        }
    }

    fn not_spawned(&mut self, exit: Option<Exit>, now: Instant, todo: &mut Vec<Action>) {
        match self.state {
            State::Starting { .. } => {
                self.last_exit = exit;
                todo.push(Action::Quiet);
                self.judge(exit, Some(Fault::NotSpawned), now, todo);
            }
            State::Ending { then, .. } => self.ended(exit, then, now, todo),
            _ => {}
        }
    }

    fn exited(&mut self, exit: Exit, survivors: bool, now: Instant, todo: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting { .. } | State::Up { .. } => {
                self.last_exit = Some(exit);
                self.note_recovery(now);
                todo.push(Action::Quiet);
                if survivors {
                    self.end(Then::Judge(None), self.plan.stop.timeout, now, todo);
                    if let State::Ending { exit: of_leader, .. } = &mut self.state {
                        *of_leader = Some(exit);
                    }
                } else {
                    self.judge(Some(exit), None, now, todo);
                }
            }
            State::Ending { exit: of_leader, gone, then, .. } => {
                self.last_exit = Some(exit);
                *of_leader = Some(exit);
                *gone |= !survivors;
                if *gone {
                    let then = *then;
                    self.ended(Some(exit), then, now, todo);
                }
            }
            _ => {}
        }
    }

    fn gone(&mut self, now: Instant, todo: &mut Vec<Action>) {
        if let State::Ending { exit, gone, then, .. } = &mut self.state {
            *gone = true;
            if let (Some(exit), then) = (*exit, *then) {
                self.ended(Some(exit), then, now, todo);
            }
        }
    }

    fn heard_ready(&mut self, answer: Answer, now: Instant, todo: &mut Vec<Action>) {
        if self.plan.oneshot {
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

    fn heard_live(&mut self, answer: Answer, now: Instant, todo: &mut Vec<Action>) {
        let limit = self.plan.live_failures.max(1);
        let State::Up { misses, .. } = &mut self.state else { return };
        if answer == Answer::Yes {
            *misses = 0;
            return;
        }
        *misses += 1;
        if *misses >= limit && self.plan.process {
            todo.push(Action::Say(Note::Hangs(limit)));
            self.note_recovery(now);
            let then = Then::Judge(Some(Fault::Hangs));
            self.end(then, self.plan.stop.timeout, now, todo);
        }
    }

    fn stop(&mut self, within: Duration, now: Instant, todo: &mut Vec<Action>) {
        match &mut self.state {
            State::Rest(phase) => *phase = Phase::Stopped,
            State::Waiting | State::Backoff { .. } => self.rest(Phase::Stopped, todo),
            State::Ending { then, due, looks, .. } => {
                *then = Then::Stop;
                if looks.is_none() {
                    *due = (*due).min(later(now, within.min(self.plan.stop.timeout)));
                }
            }
            State::Starting { .. } | State::Up { .. } => {
                self.end(Then::Stop, within.min(self.plan.stop.timeout), now, todo);
            }
        }
    }

    fn restart(&mut self, now: Instant, todo: &mut Vec<Action>) {
        if matches!(self.state, State::Starting { .. } | State::Up { .. }) {
            self.restarts += 1;
            self.end(Then::Fresh, self.plan.stop.timeout, now, todo);
        } else {
            self.start();
        }
    }

    fn kill(&mut self, now: Instant, todo: &mut Vec<Action>) {
        self.stop(Duration::ZERO, now, todo);
        if let State::Ending { due, looks, .. } = &mut self.state {
            *looks = Some(looks.unwrap_or(0));
            *due = now + LOOK;
            todo.retain(|action| !matches!(action, Action::Ask(_)));
            todo.push(Action::Kill(self.generation));
        }
    }

    /// Begins to end what runs.
    fn end(&mut self, then: Then, timeout: Duration, now: Instant, todo: &mut Vec<Action>) {
        todo.retain(|action| *action != Action::Quiet);
        todo.push(Action::Quiet);
        if !self.plan.process {
            return self.ended(None, then, now, todo);
        }
        let due = later(now, timeout);
        self.state = State::Ending { exit: None, gone: false, then, due, looks: None };
        todo.push(Action::Ask(self.generation));
    }

    fn ended(&mut self, exit: Option<Exit>, then: Then, now: Instant, todo: &mut Vec<Action>) {
        match then {
            Then::Stop => self.rest(Phase::Stopped, todo),
            Then::Fresh => self.wait_afresh(),
            Then::Judge(fault) => self.judge(exit, fault, now, todo),
        }
    }

    fn note_recovery(&mut self, now: Instant) {
        if let State::Up { ready: Some(since), .. } = self.state
            && now - since >= RECOVERED
        {
            self.attempts = 0;
        }
    }

    fn rest(&mut self, phase: Phase, todo: &mut Vec<Action>) {
        self.state = State::Rest(phase);
        let note = if phase == Phase::Finished { Note::Finished } else { Note::Stopped };
        todo.push(Action::Say(note));
    }

    fn tick(&mut self, now: Instant, todo: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting { .. } => {
                todo.push(Action::Say(Note::Late(self.plan.deadline)));
                let then = Then::Judge(Some(Fault::Late));
                self.end(then, self.plan.stop.timeout, now, todo);
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
                    todo.push(Action::Look(self.generation));
                }
            }
            State::Rest(_) | State::Waiting | State::Up { .. } => {}
        }
    }
}

/// A moment that may be far, but is one.
fn later(now: Instant, by: Duration) -> Instant {
    now + by.min(Duration::from_hours(24 * 365))
}

#[cfg(test)]
#[path = "../../tests/unit/life.rs"]
mod tests;
