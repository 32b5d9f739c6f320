//! The state machine: events in, actions out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::action::Action;
use super::event::{Event, Generation};
use super::settings::Settings;
use super::state::State;
use crate::config::Phase;
use crate::supervisor::exit::Exit;

/// One app's state and counters.
#[derive(Debug)]
pub(crate) struct Life {
    pub(super) settings: Settings,
    /// A random number between -1 and 1.
    pub(super) spread: fn() -> f64,
    pub(super) state: State,
    pub(super) generation: Generation,
    /// The newest incarnation whose leader has ended.
    pub(super) leaderless: Generation,
    /// Restarts within the window.
    pub(super) recent: VecDeque<Instant>,
    /// Attempts since it was last ready for long enough.
    pub(super) attempts: u32,
    pub(super) started: bool,
    pub(super) succeeded: bool,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<Exit>,
}

impl Life {
    /// Waiting for its turn. `spread` makes the jitter: a number between -1 and 1.
    pub(crate) fn new(settings: Settings, spread: fn() -> f64) -> Self {
        Self {
            settings,
            spread,
            state: State::Waiting,
            generation: 0,
            leaderless: 0,
            recent: VecDeque::new(),
            attempts: 0,
            started: false,
            succeeded: false,
            restarts: 0,
            last_exit: None,
        }
    }

    /// Where it is, for everybody else.
    pub(crate) fn phase(&self) -> Phase {
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
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether it has ended with success and stays so.
    pub(crate) fn has_finished(&self) -> bool {
        self.succeeded
    }

    /// Whether a process of it may be alive.
    pub(crate) fn is_alive(&self) -> bool {
        let holds =
            matches!(self.state, State::Starting { .. } | State::Up { .. } | State::Ending { .. });
        holds && self.settings.process
    }

    /// When it wants an [`Event::Tick`].
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline, .. } => deadline,
            State::Ending { due, .. } => Some(due),
            State::Backoff { until } => Some(until),
            State::Rest(_) | State::Waiting | State::Up { .. } => None,
        }
    }

    /// Moves its timer: the time did not pass for its process either.
    pub(crate) fn postpone(&mut self, by: Duration) {
        match &mut self.state {
            State::Starting { deadline: Some(due), .. }
            | State::Ending { due, .. }
            | State::Backoff { until: due } => *due += by,
            _ => {}
        }
    }

    /// Takes an event.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::Start => self.start(),
            Event::Go if self.state == State::Waiting => self.spawn(now, &mut todo),
            Event::Spawned(of) if of == self.generation => self.spawned(now, &mut todo),
            Event::NotSpawned(of, code) if of == self.generation => {
                self.not_spawned(code.map(Exit::Code), now, &mut todo);
            }
            Event::LeaderEnded(of) if of == self.generation => self.leader_ended(now),
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
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/life/machine.rs"]
mod tests;
