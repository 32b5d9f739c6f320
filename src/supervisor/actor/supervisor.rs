//! The task: its state, its loop, and what it shows.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::incarnation::Launcher;
use super::log;
use super::order::Order;
use super::stop_budget::StopBudget;
use super::supervised::Supervised;
use crate::config::{App, AppName};
use crate::supervisor::handle::{AppStatus, Command, CommandError, Critical, Handle};
use crate::supervisor::life::event::Event;
use crate::supervisor::probe::ask::FROZEN;
use crate::supervisor::probe::question::Tls;
use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::process::sweep::sweep;
use crate::telemetry::LogHandle;

/// For the last lines of output when all processes have gone.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The actor that owns all apps.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) apps: Vec<Supervised>,
    pub(super) order: Order,
    pub(super) launcher: Launcher,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: mpsc::UnboundedReceiver<(usize, Event)>,
    pub(super) critical: watch::Sender<Option<Critical>>,
    pub(super) shown: Arc<Mutex<Vec<AppStatus>>>,
    pub(super) stopping: Option<StopBudget>,
}

/// Why the actor woke up.
enum Woken {
    Command(Command),
    Event(usize, Event),
    Time,
}

impl Supervisor {
    /// No process is started before [`Self::run`].
    pub fn new(
        apps: Vec<App>,
        state_dir: PathBuf,
        reaper: Reaper,
        log: LogHandle,
        tls: Tls,
    ) -> (Self, Handle) {
        let order = Order::new(&apps, None);
        let (commands, on_command) = mpsc::unbounded_channel();
        let (events, on_event) = mpsc::unbounded_channel();
        let (critical, on_critical) = watch::channel(None);
        let apps: Vec<Supervised> = apps.into_iter().map(Supervised::new).collect();
        let phases = apps.iter().map(|owned| (owned.app.name.clone(), owned.phase.subscribe()));
        let shown = Arc::new(Mutex::new(apps.iter().map(Supervised::status).collect()));
        let handle = Handle {
            commands,
            phases: Arc::new(phases.collect::<HashMap<_, _>>()),
            shown: shown.clone(),
            critical: on_critical,
        };
        let state_dir = state_dir.into();
        let launcher = Launcher {
            state_dir,
            reaper,
            log,
            tls,
            issuer: None,
            events,
            outputs: TaskTracker::new(),
        };
        let mut supervisor = Self {
            apps,
            order,
            launcher,
            commands: on_command,
            events: on_event,
            critical,
            shown,
            stopping: None,
        };
        supervisor.welcome_those_elsewhere();
        (supervisor, handle)
    }

    /// What runs elsewhere and waits for nothing is ready before we are: it is served from the
    /// first request on, also while the first-time setup of others runs.
    fn welcome_those_elsewhere(&mut self) {
        for place in 0..self.apps.len() {
            let app = &self.apps[place].app;
            if app.run.is_none() && app.ready.is_none() && app.after.is_empty() {
                self.feed(place, Event::Go);
            }
        }
    }

    /// Says which app is the issuer. It is stopped after all that it does not need itself, so that
    /// whoever logs in while the apps stop is not cut off, and it can write down its sessions. It
    /// is probed more often while it starts, because nobody can sign in before it is ready.
    #[must_use]
    pub fn with_issuer(mut self, app: &AppName) -> Self {
        self.launcher.issuer = Some(app.clone());
        let apps: Vec<App> = self.apps.iter().map(|owned| (*owned.app).clone()).collect();
        self.order = Order::new(&apps, Some(app));
        self
    }

    /// Starts the apps in order and looks after them until [`Handle::stop_all`] is done.
    pub async fn run(mut self) {
        loop {
            while let Some((place, event)) = self.next_move() {
                self.make_move(place, event);
            }
            if self.is_done() {
                break;
            }
            let (due, fell_asleep) = (self.due(), Instant::now());
            let woken = tokio::select! {
                biased;
                Some(said) = self.commands.recv() => Woken::Command(said),
                Some((place, event)) = self.events.recv() => Woken::Event(place, event),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Woken::Time,
            };
            self.notice_freeze(due, fell_asleep);
            match woken {
                Woken::Command(said) => self.obey(said),
                Woken::Event(place, event) => self.feed(place, event),
                Woken::Time => self.tick(),
            }
        }
        self.finish().await;
    }

    /// When something has to be done without being asked.
    fn due(&self) -> Option<Instant> {
        let lives = self.apps.iter().filter_map(|owned| owned.life.due());
        lives.chain(self.stopping.as_ref().map(StopBudget::hard)).min()
    }

    /// Whether a timer is so late that nothing of us can have run. Then all get the whole time
    /// back: it did not pass for the apps either, or they had nobody to answer to.
    fn notice_freeze(&mut self, due: Option<Instant>, fell_asleep: Instant) {
        let now = Instant::now();
        let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late <= FROZEN {
            return;
        }
        tracing::warn!(late = %log::brief(late), "nothing ran for a while: timers are moved");
        for owned in &mut self.apps {
            owned.life.postpone(now - fell_asleep);
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.postpone(now - fell_asleep);
        }
    }

    fn tick(&mut self) {
        for place in 0..self.apps.len() {
            self.feed(place, Event::Tick);
        }
    }

    /// Takes an event, and all that follows from it at once.
    pub(super) fn feed(&mut self, place: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.apps[place].life.on(event, Instant::now()) {
                events.extend(self.carry_out(place, action));
            }
        }
        self.show(place);
    }

    /// Shows an app as it is now.
    fn show(&mut self, place: usize) {
        let owned = &mut self.apps[place];
        if !owned.life.is_alive() {
            owned.incarnation = owned.incarnation.take().filter(|one| one.pid.is_none());
        }
        let phase = owned.life.phase();
        if *owned.phase.borrow() != phase {
            owned.since = SystemTime::now();
        }
        let status = owned.status();
        if let Some(shown) =
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place)
        {
            *shown = status;
        }
        owned.phase.send_if_modified(|shown| std::mem::replace(shown, phase) != phase);
    }

    /// Sweeps what the apps left, and waits for the last lines.
    async fn finish(mut self) {
        let left = self.stopping.as_ref().map_or(Duration::ZERO, StopBudget::for_sweep);
        let reaper = self.launcher.reaper.clone();
        let at_once = async {
            while let Some(said) = self.commands.recv().await {
                match said {
                    Command::KillAll => return,
                    Command::StopAll { .. } => {}
                    Command::Change { reply, .. } => drop(reply.send(Err(CommandError::Stopping))),
                }
            }
            std::future::pending::<()>().await;
        };
        sweep(&reaper, left, at_once).await;
        self.launcher.outputs.close();
        let _ = timeout(LAST_LINES, self.launcher.outputs.wait()).await;
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/actor/supervisor.rs"]
mod tests;
