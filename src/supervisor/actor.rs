//! The one task that owns all apps.
//!
//! It turns orders, ends, answers and timers into events of each app's [`Life`], carries out what
//! that asks for, and shows the outcome. It waits for events and never polls; nothing in here
//! waits for a child, for the log or for an answer.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::handle::{AppStatus, Change, CommandError, Critical, Handle, Order as Said};
use super::incarnation::{Ground, Incarnation, Which};
use super::life::{Action, Event, Generation, Note};
use super::order::Order;
use super::owned::Owned;
use super::probe::{FROZEN, Tls};
use super::reaper::Reaper;
use super::stop::{Deadline, sweep};
use super::tell;
use crate::config::{App, AppName, Phase, Until};
use crate::telemetry::LogHandle;

/// For the last lines of output when all processes have gone.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The actor that owns all apps.
#[derive(Debug)]
pub struct Supervisor {
    apps: Vec<Owned>,
    order: Order,
    ground: Ground,
    orders: mpsc::UnboundedReceiver<Said>,
    events: mpsc::UnboundedReceiver<(usize, Event)>,
    critical: watch::Sender<Option<Critical>>,
    shown: Arc<Mutex<Vec<AppStatus>>>,
    stopping: Option<Deadline>,
}

/// Why the actor woke up.
enum Woken {
    Said(Said),
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
        let (orders, on_order) = mpsc::unbounded_channel();
        let (events, on_event) = mpsc::unbounded_channel();
        let (critical, on_critical) = watch::channel(None);
        let apps: Vec<Owned> = apps.into_iter().map(Owned::new).collect();
        let phases = apps.iter().map(|owned| (owned.app.name.clone(), owned.phase.subscribe()));
        let shown = Arc::new(Mutex::new(apps.iter().map(Owned::status).collect()));
        let handle = Handle {
            orders,
            phases: Arc::new(phases.collect::<HashMap<_, _>>()),
            shown: shown.clone(),
            critical: on_critical,
        };
        let state_dir = state_dir.into();
        let ground = Ground { state_dir, reaper, log, tls, events, outputs: TaskTracker::new() };
        let mut supervisor = Self {
            apps,
            order,
            ground,
            orders: on_order,
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

    /// Stops this app after all that it does not need itself: the issuer, so that whoever logs
    /// in while the apps stop is not cut off, and it can write down its sessions.
    #[must_use]
    pub fn stop_last(mut self, app: &AppName) -> Self {
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
                Some(said) = self.orders.recv() => Woken::Said(said),
                Some((place, event)) = self.events.recv() => Woken::Event(place, event),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Woken::Time,
            };
            self.notice_freeze(due, fell_asleep);
            match woken {
                Woken::Said(said) => self.obey(said),
                Woken::Event(place, event) => self.feed(place, event),
                Woken::Time => self.tick(),
            }
        }
        self.finish().await;
    }

    /// When something has to be done without being asked.
    fn due(&self) -> Option<Instant> {
        let lives = self.apps.iter().filter_map(|owned| owned.life.due());
        lives.chain(self.stopping.as_ref().map(Deadline::hard)).min()
    }

    /// Whether a timer is so late that nothing of us can have run. Then all get the whole time
    /// back: it did not pass for the apps either, or they had nobody to answer to.
    fn notice_freeze(&mut self, due: Option<Instant>, fell_asleep: Instant) {
        let now = Instant::now();
        let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        if late <= FROZEN {
            return;
        }
        tracing::warn!(late = %tell::brief(late), "nothing ran for a while: timers are moved");
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

    fn is_done(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| {
            let all_down = self.apps.iter().all(|owned| !owned.life.is_alive());
            (all_down && self.apps.iter().all(|owned| owned.told)) || stopping.is_over()
        })
    }

    /// Who may start because all that it waits for has come, or may stop because nobody needs it
    /// any more. One at a time: each move may allow the next.
    fn next_move(&self) -> Option<(usize, Event)> {
        let mut places = 0..self.apps.len();
        let Some(stopping) = &self.stopping else {
            let waiting = |place: &usize| {
                self.apps[*place].life.phase() == Phase::Waiting
                    && self
                        .order
                        .may_start(*place, |need, until| self.has_come(*place, need, until))
            };
            return places.find(waiting).map(|place| (place, Event::Go));
        };
        let alive = |place: usize| self.apps[place].life.is_alive();
        let place = places.find(|place| {
            let free = !alive(*place) || self.order.may_stop(*place, |other| !alive(other));
            !self.apps[*place].told && free
        })?;
        Some((place, Event::Stop { within: self.order.share(place, stopping.left()) }))
    }

    fn make_move(&mut self, place: usize, event: Event) {
        let owned = &mut self.apps[place];
        owned.by_hand = false;
        owned.told = self.stopping.is_some();
        // How an app ended is still to be seen while the others stop.
        let rests = matches!(owned.life.phase(), Phase::Stopped | Phase::Failed | Phase::Finished);
        if !rests {
            self.feed(place, event);
        }
    }

    fn has_come(&self, place: usize, need: usize, until: Until) -> bool {
        let life = &self.apps[need].life;
        let hopeless = matches!(life.phase(), Phase::Stopped | Phase::Failed);
        let come = match until {
            Until::Started => life.has_started(),
            Until::Ready => life.phase().is_ready(),
            Until::Finished => life.has_finished(),
        };
        come || (hopeless && self.apps[place].by_hand)
    }

    /// Takes an event, and all that follows from it at once.
    fn feed(&mut self, place: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.apps[place].life.on(event, Instant::now()) {
                events.extend(self.carry_out(place, action));
            }
        }
        self.show(place);
    }

    fn start(&mut self, place: usize, generation: Generation) -> Event {
        let owned = &mut self.apps[place];
        // A turn of its own, also when it fails at once and all looks as before.
        owned.since = SystemTime::now();
        let which = Which { app: owned.app.clone(), place, generation };
        match self.ground.start(&which) {
            Ok(incarnation) => {
                owned.incarnation = Some(incarnation);
                Event::Spawned(generation)
            }
            Err(error) => {
                owned.incarnation = None;
                tell::not_started(&owned.app, &error);
                Event::NotSpawned(generation, error.code())
            }
        }
    }

    fn carry_out(&mut self, place: usize, action: Action) -> Option<Event> {
        let owned = &mut self.apps[place];
        let pid = owned.incarnation.as_ref().and_then(|incarnation| incarnation.pid);
        let reaper = &self.ground.reaper;
        match action {
            Action::Spawn(generation) => return Some(self.start(place, generation)),
            Action::AskLive(generation) => {
                let which = Which { app: owned.app.clone(), place, generation };
                if let Some(incarnation) = &mut owned.incarnation {
                    self.ground.watch(&which, incarnation);
                }
            }
            Action::Quiet => {
                if let Some(incarnation) = &mut owned.incarnation {
                    incarnation.quiet();
                }
            }
            Action::Ask(_) => {
                if let Some(pid) = pid {
                    reaper.signal_group(pid, owned.app.stop.signal);
                    // One that was stopped could not even hear it.
                    reaper.signal_group(pid, Signal::SIGCONT);
                }
            }
            Action::Kill(_) => {
                if let Some(pid) = pid {
                    reaper.signal_group(pid, Signal::SIGKILL);
                }
            }
            Action::Look(_) => {
                if let Some(pid) = pid {
                    reaper.look(pid);
                }
            }
            Action::Fail(code) => {
                let app = owned.app.name.clone();
                self.critical.send_if_modified(|critical| {
                    let first = critical.is_none();
                    critical.get_or_insert(Critical { app, code });
                    first
                });
            }
            Action::Say(note) => {
                let heard = owned.incarnation.as_ref().map(Incarnation::heard);
                tell::note(&owned.app, note, heard.unwrap_or_default());
                if matches!(note, Note::Failed { .. } | Note::Stopped) && self.stopping.is_none() {
                    self.name_those_in_vain(place);
                }
            }
        }
        None
    }

    /// Who waits for an app that has ended for good would otherwise wait without a word.
    fn name_those_in_vain(&self, ended: usize) {
        for (place, owned) in self.apps.iter().enumerate() {
            let come = |need, until| need != ended || self.has_come(place, need, until);
            if owned.life.phase() == Phase::Waiting && !self.order.may_start(place, come) {
                let phase = self.apps[ended].life.phase();
                tell::waits_in_vain(&owned.app, &self.apps[ended].app, phase);
            }
        }
    }

    fn obey(&mut self, said: Said) {
        match said {
            Said::Change { app, change, reply } => {
                let _ = reply.send(self.change(&app, change));
            }
            Said::StopAll { budget } => {
                let deadline = Deadline::new(budget);
                self.stopping.get_or_insert(deadline);
            }
            Said::KillAll => {
                self.stopping.get_or_insert(Deadline::new(Duration::ZERO)).now();
                for place in 0..self.apps.len() {
                    self.apps[place].told = true;
                    self.feed(place, Event::Kill);
                }
            }
        }
    }

    fn change(&mut self, app: &str, change: Change) -> Result<(), CommandError> {
        let place = self.apps.iter().position(|owned| owned.app.name.as_str() == app);
        let place = place.ok_or_else(|| CommandError::Unknown(app.to_owned()))?;
        let owned = &mut self.apps[place];
        if let Change::Signal { signal, group } = change {
            let reaper = &self.ground.reaper;
            let pid = owned.incarnation.as_ref().and_then(|incarnation| incarnation.pid);
            let sent = pid.is_some_and(|pid| {
                if group { reaper.signal_group(pid, signal) } else { reaper.signal(pid, signal) }
            });
            return if sent {
                Ok(())
            } else {
                Err(CommandError::NotRunning(owned.app.name.clone()))
            };
        }
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        owned.by_hand = !matches!(change, Change::Stop);
        let event = match change {
            Change::Start => Event::Start,
            Change::Restart => Event::Restart,
            Change::Stop | Change::Signal { .. } => Event::Stop { within: Duration::MAX },
        };
        self.feed(place, event);
        Ok(())
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
        let left = self.stopping.as_ref().map_or(Duration::ZERO, Deadline::for_sweep);
        let reaper = self.ground.reaper.clone();
        let at_once = async {
            while let Some(said) = self.orders.recv().await {
                match said {
                    Said::KillAll => return,
                    Said::StopAll { .. } => {}
                    Said::Change { reply, .. } => refuse(reply),
                }
            }
            std::future::pending::<()>().await;
        };
        sweep(&reaper, left, at_once).await;
        self.ground.outputs.close();
        let _ = timeout(LAST_LINES, self.ground.outputs.wait()).await;
    }
}

fn refuse(reply: oneshot::Sender<Result<(), CommandError>>) {
    let _ = reply.send(Err(CommandError::Stopping));
}

#[cfg(test)]
#[path = "../../tests/unit/actor.rs"]
mod tests;
