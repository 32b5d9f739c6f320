//! The supervisor task: its state, its loop, and the state that it publishes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::idle::company::nap_of;
use super::incarnation::{Incarnation, Launcher};
use super::log;
use super::order::Order;
use super::replicas::group::Groups;
use super::replicas::roll::Roll;
use super::stop_budget::StopBudget;
use super::supervised::Supervised;
use crate::config::{App, AppName};
use crate::supervisor::handle::{Command, CommandError, Critical, Handle, Outlet, Published};
use crate::supervisor::idle::nap::Bell;
use crate::supervisor::incident::{BACKLOG, Incident};
use crate::supervisor::life::event::{Event, Excess};
use crate::supervisor::port::client::ClientUsers;
use crate::supervisor::probe::ask::FREEZE;
use crate::supervisor::process::memory_kills::MemoryKills;
use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::process::sweep::sweep;
use crate::supervisor::timeline::StartReport;
use crate::supervisor::usage::guard::{Limited, guard};
use crate::supervisor::usage::meter::Meter;
use crate::supervisor::wall_clock::{KernelClock, WallClock};
use crate::telemetry::LogHandle;

/// How long the last lines of output are read when all processes are gone.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The task that owns all apps.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) apps: Vec<Supervised>,
    pub(super) order: Order,
    /// The apps with several processes.
    pub(super) groups: Groups,
    /// The apps whose processes are restarted one after the other.
    pub(super) rolls: Vec<Roll>,
    pub(super) launcher: Launcher,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: mpsc::UnboundedReceiver<(u64, Event)>,
    /// Number of the last app.
    pub(super) last_id: u64,
    pub(super) critical: watch::Sender<Option<Critical>>,
    pub(super) incidents: broadcast::Sender<Incident>,
    pub(super) published: Arc<Mutex<Published>>,
    pub(super) stopping: Option<StopBudget>,
    /// Number of apps that may be in `starting` at the same time.
    pub(super) parallel_starts: usize,
    /// The processes whose memory is watched.
    limited: watch::Sender<Vec<Limited>>,
    /// Rings when a request needs an app that is stopped because nobody used it.
    pub(super) bell: Bell,
    /// When the start began; `None` when it is complete.
    pub(super) starting_since: Option<Instant>,
    pub(super) started: watch::Sender<Option<StartReport>>,
    pub(super) clock: Box<dyn WallClock>,
}

/// Why the task woke up.
enum Wake {
    Command(Command),
    Event(u64, Event),
    Time,
    WallClock,
    Request,
}

impl Supervisor {
    /// Creates the supervisor and its handle. No process is started before [`Self::run`].
    pub fn new(
        apps: Vec<App>,
        state_dir: PathBuf,
        reaper: Reaper,
        log: LogHandle,
    ) -> (Self, Handle) {
        let clock = Box::new(KernelClock::default());
        Self::on_clock(clock, apps, state_dir, reaper, log)
    }

    /// See [`Self::new`].
    pub(super) fn on_clock(
        clock: Box<dyn WallClock>,
        apps: Vec<App>,
        state_dir: PathBuf,
        reaper: Reaper,
        log: LogHandle,
    ) -> (Self, Handle) {
        let (commands, on_command) = mpsc::unbounded_channel();
        let (events, on_event) = mpsc::unbounded_channel();
        let (critical, on_critical) = watch::channel(None);
        let incidents = broadcast::Sender::new(BACKLOG);
        let (started, on_start) = watch::channel(None);
        let bell = Bell::default();
        let apps = supervised(apps, &bell, &*clock);
        let published = Arc::new(Mutex::new(Published::default()));
        let handle = Handle {
            commands,
            published: published.clone(),
            critical: on_critical,
            incidents: incidents.clone(),
            meter: Meter::new(reaper.clone()),
            clients: Arc::new(ClientUsers(reaper.clone())),
            started: on_start,
        };
        let state_dir = state_dir.into();
        let launcher = Launcher {
            state_dir,
            reaper,
            log,
            issuer: None,
            events,
            memory_kills: Arc::new(MemoryKills::watch()),
            setups: Arc::default(),
            former_output: Arc::default(),
            outputs: TaskTracker::new(),
        };
        let mut supervisor = Self {
            last_id: apps.len() as u64,
            apps,
            order: Order::default(),
            groups: Groups::default(),
            rolls: Vec::new(),
            launcher,
            commands: on_command,
            events: on_event,
            critical,
            incidents,
            published,
            stopping: None,
            parallel_starts: usize::MAX,
            limited: watch::Sender::default(),
            bell,
            starting_since: Some(Instant::now()),
            started,
            clock,
        };
        supervisor.set_order();
        supervisor.publish_all();
        supervisor.start_external_apps();
        (supervisor, handle)
    }

    /// Makes apps that run elsewhere and wait for nothing ready at once, so that the proxy serves
    /// them from the first request on.
    pub(super) fn start_external_apps(&mut self) {
        for index in 0..self.apps.len() {
            let Supervised { app, life, .. } = &self.apps[index];
            if life.awaits_its_turn()
                && app.run.is_none()
                && app.ready.is_none()
                && app.after.is_empty()
            {
                self.apply(index, Event::Proceed);
            }
        }
    }

    /// Says which app is the issuer. It is stopped after all apps that it does not need itself, so
    /// that logins during the stop still work and the issuer can store its sessions. It is probed
    /// more often while it starts, because nobody can sign in before it is ready.
    #[must_use]
    pub fn with_issuer(mut self, app: &AppName) -> Self {
        self.launcher.issuer = Some(app.clone());
        self.set_order();
        self
    }

    /// Limits the number of apps that are in `starting` at the same time.
    #[must_use]
    pub fn with_parallel_starts(mut self, limit: usize) -> Self {
        self.parallel_starts = limit;
        self
    }

    pub(super) fn set_order(&mut self) {
        let apps: Vec<Arc<App>> = self.apps.iter().map(Supervised::latest).collect();
        self.order = Order::new(&apps, self.launcher.issuer.as_ref());
    }

    /// Starts the apps in order and supervises them until [`Handle::stop_all`] is done.
    pub async fn run(mut self) {
        let _guard = self.guard_memory();
        loop {
            self.forget_removed();
            self.roll();
            while let Some((index, event)) = self.next_step() {
                self.take_step(index, event);
            }
            self.report_start();
            if self.is_done() {
                break;
            }
            let (due, slept_since) = (self.due(), Instant::now());
            let next = self.next_time();
            let wake = tokio::select! {
                biased;
                Some(command) = self.commands.recv() => Wake::Command(command),
                Some((id, event)) = self.events.recv() => Wake::Event(id, event),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Wake::Time,
                () = self.bell.notified() => Wake::Request,
                () = self.clock.wait(next.unwrap_or_default()), if next.is_some() => Wake::WallClock,
            };
            self.notice_freeze(due, slept_since);
            match wake {
                Wake::Command(command) => self.handle_command(command),
                Wake::Event(id, event) => {
                    // An app that is gone may have left an event behind.
                    let index = self.apps.iter().position(|supervised| supervised.id == id);
                    match (index, event) {
                        (Some(index), Event::SuccessorSetUp(number, done)) => {
                            self.successor_set_up(index, number, done);
                        }
                        (Some(index), event) => {
                            if let Event::NotSpawned(generation, _) = event {
                                self.note_launch_failure(index, generation);
                            }
                            self.apply(index, event);
                        }
                        (None, _) => {}
                    }
                }
                Wake::Time => self.tick(),
                Wake::WallClock => self.keep_time(),
                Wake::Request => self.answer_requests(),
            }
        }
        self.finish().await;
    }

    /// When the next timer expires.
    fn due(&self) -> Option<Instant> {
        // A restart that waits for a place begins when another app leaves its place.
        let lives = self.apps.iter().map(|supervised| &supervised.life).enumerate();
        let starting = self.starting();
        let lives = lives.filter(|(index, life)| {
            life.pause_end().is_none() || self.has_free_place(*index, starting)
        });
        let lives = lives.filter_map(|(_, life)| life.due());
        lives.chain(self.next_look()).chain(self.stopping.as_ref().map(StopBudget::end)).min()
    }

    /// Detects that the process was frozen: a timer is so late that nothing can have run. All
    /// timers get the lost time back, because the apps were frozen as well or their answers could
    /// not be read.
    fn notice_freeze(&mut self, due: Option<Instant>, slept_since: Instant) {
        let now = Instant::now();
        let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late <= FREEZE {
            return;
        }
        tracing::warn!(late = %log::brief(late), "the process was suspended: all timers are extended");
        for supervised in &mut self.apps {
            supervised.life.postpone(now - slept_since);
        }
        self.forgive_unused();
        if let Some(stopping) = &mut self.stopping {
            stopping.postpone(now - slept_since);
        }
    }

    fn tick(&mut self) {
        for index in 0..self.apps.len() {
            // A restart begins when it is its turn.
            if self.apps[index].life.pause_end().is_none() {
                self.apply(index, Event::Tick);
            }
            self.look_at_use(index);
        }
    }

    /// Applies an event to an app, and all events that follow from it at once.
    pub(super) fn apply(&mut self, index: usize, event: Event) {
        self.apply_to_all(&[index], event);
    }

    /// Applies an event to several apps before the change of any of them is seen.
    pub(super) fn apply_to_all(&mut self, indexes: &[usize], event: Event) {
        for index in indexes.iter().copied() {
            let mut events = VecDeque::from([event]);
            while let Some(event) = events.pop_front() {
                for action in self.apps[index].life.on(event, Instant::now()) {
                    events.extend(self.carry_out(index, action));
                }
            }
            self.apps[index].succeed(&*self.clock);
            self.apps[index].forget_setup();
        }
        for index in indexes {
            self.publish(*index);
        }
    }

    /// Publishes the apps after a change of their list.
    pub(super) fn publish_all(&mut self) {
        let outlets = self.apps.iter().map(|one| {
            let outlet = Outlet {
                phase: one.phase.subscribe(),
                listener: one.listener.clone(),
                nap: one.nap.clone(),
            };
            (one.name().clone(), outlet)
        });
        let published = Published {
            outlets: outlets.collect(),
            groups: self.groups.follow(&self.apps),
            statuses: self.apps.iter().map(Supervised::status).collect(),
        };
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = published;
    }

    /// Publishes the current state of an app.
    pub(super) fn publish(&mut self, index: usize) {
        let supervised = &mut self.apps[index];
        if !supervised.life.is_alive() {
            supervised.incarnation =
                supervised.incarnation.take().filter(Incarnation::is_elsewhere);
        }
        let phase = supervised.life.phase();
        if *supervised.phase.borrow() != phase {
            supervised.since = SystemTime::now();
            supervised.course.follow(phase, Instant::now());
        }
        let status = supervised.status();
        if let Some(published) =
            self.published.lock().unwrap_or_else(PoisonError::into_inner).statuses.get_mut(index)
        {
            *published = status;
        }
        self.plan_look(index);
        let is_waking = self.show_sleep(index);
        // An app with several processes is never seen as ready while none of them is.
        if !phase.is_ready() {
            self.publish_group(index);
        }
        let supervised = &self.apps[index];
        supervised.phase.send_if_modified(|published| std::mem::replace(published, phase) != phase);
        if phase.is_ready() {
            self.publish_group(index);
        }
        self.apps[index].nap.set_waking(is_waking);
        let limited: Vec<_> = self.apps.iter().filter_map(Supervised::limited).collect();
        self.limited.send_if_modified(|published| {
            let differs = *published != limited;
            *published = limited;
            differs
        });
    }

    fn publish_group(&self, index: usize) {
        let name = self.apps[index].name();
        if name.is_replica() {
            self.groups.publish(name.app(), &self.apps);
        }
    }

    /// Starts to watch the memory of the apps that have a limit.
    fn guard_memory(&self) -> AbortOnDropHandle<()> {
        let events = self.launcher.events.clone();
        let report = move |app: Limited, used| {
            let event = Event::TooMuchMemory(app.generation, Excess { used, limit: app.limit });
            let _ = events.send((app.id, event));
        };
        let reaper = self.launcher.reaper.clone();
        AbortOnDropHandle::new(tokio::spawn(guard(reaper, self.limited.subscribe(), report)))
    }

    /// Ends the processes that remain and waits for the last lines of output.
    async fn finish(mut self) {
        let left = self.stopping.as_ref().map_or(Duration::ZERO, StopBudget::for_sweep);
        let reaper = self.launcher.reaper.clone();
        let at_once = async {
            while let Some(command) = self.commands.recv().await {
                match command {
                    Command::KillAll => return,
                    Command::StopAll { .. } => {}
                    Command::Change { reply, .. }
                    | Command::Roll { reply, .. }
                    | Command::Reconfigure { reply, .. } => {
                        drop(reply.send(Err(CommandError::Stopping)));
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        sweep(&reaper, left, at_once).await;
        self.launcher.outputs.close();
        let _ = timeout(LAST_LINES, self.launcher.outputs.wait()).await;
    }
}

/// The apps of the first configuration.
fn supervised(apps: Vec<App>, bell: &Bell, clock: &dyn WallClock) -> Vec<Supervised> {
    let mut known = Vec::new();
    for (id, app) in (0..).zip(apps) {
        let nap = nap_of(&app, known.iter(), bell);
        known.push(Supervised::new(id, app, nap, clock));
    }
    known
}

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/actor/supervisor.rs"]
mod tests;
