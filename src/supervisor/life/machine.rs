//! The state machine: takes an event, changes the state, returns actions.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::action::Action;
use super::event::{Event, Generation};
use super::settings::Settings;
use super::state::{State, Then};
use crate::config::Phase;
use crate::supervisor::exit::Exit;

/// State and counters of one app.
#[derive(Debug)]
pub(crate) struct Life {
    pub(super) settings: Settings,
    /// Returns a random number between -1 and 1.
    pub(super) jitter: fn() -> f64,
    pub(super) state: State,
    pub(super) generation: Generation,
    /// Newest incarnation whose leader has ended.
    pub(super) leaderless: Generation,
    /// Times of the restarts within the window.
    pub(super) recent: VecDeque<Instant>,
    /// Start attempts since the app was last ready for long enough.
    pub(super) attempts: u32,
    pub(super) started: bool,
    pub(super) succeeded: bool,
    pub(crate) restarts: u64,
    pub(crate) last_exit: Option<Exit>,
}

impl Life {
    /// A new app that waits for its turn. `jitter` returns a random number between -1 and 1.
    pub(crate) fn new(settings: Settings, jitter: fn() -> f64) -> Self {
        Self {
            settings,
            jitter,
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

    /// Number of the newest incarnation.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Replaces the settings. Whether the app has a process may change only while none runs.
    pub(crate) fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The phase that other folders see.
    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            State::Rest(phase) => phase,
            State::Waiting => Phase::Waiting,
            State::SettingUp => Phase::Setup,
            State::Starting { .. } => Phase::Starting,
            State::Up { ready: Some(_), .. } => Phase::Ready,
            State::Up { ready: None, .. } => Phase::Unready,
            State::Ending { .. } => Phase::Stopping,
            State::Backoff { .. } => Phase::Backoff,
        }
    }

    /// Waits for the first time of a schedule.
    pub(crate) fn await_its_time(&mut self) {
        self.state = State::Rest(Phase::Waiting);
    }

    /// Sleeps until the app is needed for the first time.
    pub(crate) fn await_a_need(&mut self) {
        self.state = State::Rest(Phase::Idle);
    }

    /// Whether the app waits for its dependencies and its turn.
    pub(crate) fn awaits_its_turn(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether nothing happens before a start.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Rest(_))
    }

    /// Whether a process of the app has run since the last start command.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether the app has exited with success and stays down.
    pub(crate) fn has_finished(&self) -> bool {
        self.succeeded
    }

    /// Whether the incarnation ends without anybody having asked for it.
    pub(crate) fn ends_by_itself(&self) -> bool {
        matches!(self.state, State::Ending { then: Then::ApplyPolicy(_), .. })
    }

    /// Whether a process of the app may be running.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_running() && self.settings.process
    }

    /// Whether the app runs or ends, here or elsewhere.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Starting { .. } | State::Up { .. } | State::Ending { .. })
    }

    /// When the machine needs an [`Event::Tick`].
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline, .. } => deadline,
            State::Ending { due, .. } => Some(due),
            State::Backoff { until } => Some(until),
            State::Rest(_) | State::Waiting | State::SettingUp | State::Up { .. } => None,
        }
    }

    /// When the pause before a restart ends or has ended.
    pub(crate) fn pause_end(&self) -> Option<Instant> {
        match self.state {
            State::Backoff { until } => Some(until),
            _ => None,
        }
    }

    /// Moves the running timer, because the app was frozen for that time as well.
    pub(crate) fn postpone(&mut self, by: Duration) {
        match &mut self.state {
            State::Starting { deadline: Some(due), .. }
            | State::Ending { due, .. }
            | State::Backoff { until: due } => *due += by,
            _ => {}
        }
    }

    /// Applies an event and returns the actions that follow from it.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.start(),
            Event::SetUp if self.state == State::Waiting => self.set_up(&mut actions),
            Event::SetUpEnded(of, done) if of == self.generation => {
                self.set_up_ended(done, &mut actions);
            }
            Event::Proceed if self.state == State::Waiting => self.spawn(now, &mut actions),
            Event::Spawned(of) if of == self.generation => self.spawned(now, &mut actions),
            Event::NotSpawned(of, code) if of == self.generation => {
                self.not_spawned(code.map(Exit::Code), now, &mut actions);
            }
            Event::LeaderEnded(of) if of == self.generation => self.leader_ended(now),
            Event::Exited { generation, exit, survivors } if generation == self.generation => {
                self.exited(exit, survivors, now, &mut actions);
            }
            Event::Gone(of) if of == self.generation => self.gone(now, &mut actions),
            Event::Ready(of, answer) if of == self.generation => {
                self.ready_answered(answer, now, &mut actions);
            }
            Event::Live(of, answer) if of == self.generation => {
                self.live_answered(answer, now, &mut actions);
            }
            Event::TooMuchMemory(of, excess) if of == self.generation => {
                self.outgrown(excess, now, &mut actions);
            }
            Event::Stop { within } => self.stop(within, now, &mut actions),
            Event::Sleep => self.sleep(now, &mut actions),
            Event::Wake(need) => self.wake(need, &mut actions),
            Event::Restart => self.restart(now, &mut actions),
            Event::Kill => self.kill(now, &mut actions),
            Event::Tick if self.due().is_some_and(|due| due <= now) => self.tick(now, &mut actions),
            _ => {}
        }
        actions
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/life/machine.rs"]
mod tests;
