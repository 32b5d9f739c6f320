//! One supervised app: its state machine, its current incarnation, and its published state.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::incarnation::{Incarnation, Subject};
use super::log;
use super::successor::preparation::Preparation;
use super::times::Times;
use super::turn::Start;
use crate::config::{App, AppName, Phase};
use crate::supervisor::handle::AppStatus;
use crate::supervisor::idle::nap::Nap;
use crate::supervisor::incident::{Incident, Trouble};
use crate::supervisor::life::action::Note;
use crate::supervisor::life::event::{Event, Generation};
use crate::supervisor::life::machine::Life;
use crate::supervisor::life::settings::Settings;
use crate::supervisor::port::own_listener::OwnListener;
use crate::supervisor::process::memory_kills::KILLED_FOR_MEMORY;
use crate::supervisor::setup::has_setup;
use crate::supervisor::timeline::Course;
use crate::supervisor::usage::guard::Limited;
use crate::supervisor::wall_clock::WallClock;
use crate::telemetry::{Span, rfc3339};
use crate::threads::Turn;

/// One supervised app.
#[derive(Debug)]
pub(super) struct Supervised {
    /// Number of the app; another app never gets it.
    pub(super) id: u64,
    pub(super) app: Arc<App>,
    /// The changed app, which takes the place of `app` when its process has ended.
    pub(super) successor: Option<Arc<App>>,
    /// The setup of the successor, while the process still runs.
    pub(super) preparation: Option<Preparation>,
    /// Number of these setups.
    pub(super) preparations: Generation,
    /// The app is gone from the configuration: it disappears when its process has ended.
    pub(super) is_removed: bool,
    pub(super) life: Life,
    pub(super) incarnation: Option<Incarnation>,
    /// The app as its last setup saw it, until the app starts: the setup need not look again.
    pub(super) setup_saw: Option<Arc<App>>,
    /// The turn to read the files of the app.
    files: Turn,
    /// The first-time setup that runs. Dropping it kills its processes.
    pub(super) setup: Option<AbortOnDropHandle<()>>,
    pub(super) phase: watch::Sender<Phase>,
    /// What the proxy asks about a new connection to the app.
    pub(super) listener: Arc<OwnListener>,
    pub(super) since: SystemTime,
    /// What the proxy tells about the use of the app. All processes of an app have the same one.
    pub(super) nap: Arc<Nap>,
    /// The process starts because of a request or of its `keep_warm`, and is not ready yet.
    pub(super) is_waking: bool,
    /// When the app became ready.
    pub(super) up_since: Instant,
    /// When the use of the app is looked at; `None` if the app is not up or must run.
    pub(super) look_at: Option<Instant>,
    /// What the next start waits for.
    pub(super) next_start: Start,
    /// When the app runs or is restarted by itself.
    pub(super) times: Times,
    /// Why the last incarnation failed; `None` from a start until its failure.
    pub(super) trouble: Option<String>,
    /// How the newest start goes.
    pub(super) course: Course,
    /// How long the last start took.
    pub(super) start: Option<Duration>,
    /// The span of a start that has not ended.
    pub(super) start_span: Option<Span>,
    /// That the app used too much memory, if it was restarted for that and for nothing else since.
    pub(super) outgrown: Option<String>,
    /// The app has received its `Stop` event of the appliance's stop.
    pub(super) stop_sent: bool,
}

impl Supervised {
    pub(super) fn new(id: u64, app: App, nap: Arc<Nap>, clock: &dyn WallClock) -> Self {
        let times = Times::of(&app, clock);
        let mut life = Life::new(Settings::from(&app), jitter);
        if !app.autostart {
            life.on(Event::Stop { within: Duration::MAX }, Instant::now());
        } else if app.schedule.is_some() {
            life.await_its_time();
        } else if app.idle_stop.is_some() && !times.is_warm() {
            life.await_a_need();
        } else {
            // The app is shown as waiting, not as stopped, until its turn.
            life.on(Event::Start, Instant::now());
        }
        let phase = watch::Sender::new(life.phase());
        let waits = life.awaits_its_turn();
        let course = if waits { Course::due(Instant::now()) } else { Course::default() };
        Self {
            id,
            times,
            nap,
            is_waking: false,
            up_since: Instant::now(),
            look_at: None,
            app: Arc::new(app),
            successor: None,
            preparation: None,
            preparations: 0,
            is_removed: false,
            life,
            incarnation: None,
            setup_saw: None,
            files: Turn::default(),
            setup: None,
            phase,
            listener: Arc::default(),
            since: SystemTime::now(),
            next_start: Start::InOrder,
            trouble: None,
            course,
            start: None,
            start_span: None,
            outgrown: None,
            stop_sent: false,
        }
    }

    /// The subject of the events of an incarnation.
    pub(super) fn subject(&self, generation: Generation) -> Subject {
        let (app, listener) = (self.app.clone(), self.listener.clone());
        Subject { app, id: self.id, generation, listener, files: self.files.clone() }
    }

    /// Whether the app waits for its turn and a setup may have to run before that. Only the setup looks at
    /// its files, because it is not the supervisor that may wait for them.
    pub(super) fn awaits_setup(&self) -> bool {
        let is_looked_at = self.setup_saw.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &self.app));
        self.life.awaits_its_turn() && !is_looked_at && has_setup(&self.app)
    }

    /// From its start on, or if the app is to stay down, the setup looks again before the next start.
    pub(super) fn forget_setup(&mut self) {
        if !self.life.awaits_its_turn() && self.life.phase() != Phase::Setup {
            self.setup_saw = None;
        }
    }

    /// The app of the newest configuration.
    pub(super) fn latest(&self) -> Arc<App> {
        self.successor.as_ref().unwrap_or(&self.app).clone()
    }

    /// The name under which the app is known: that of the newest configuration.
    pub(super) fn name(&self) -> &AppName {
        &self.successor.as_ref().unwrap_or(&self.app).name
    }

    /// Whether both are processes of the same app.
    pub(super) fn belongs_with(&self, other: &Self) -> bool {
        self.name().app() == other.name().app()
    }

    /// Whether it is a process of this app, which the newest configuration has.
    pub(super) fn is_process_of(&self, app: &str) -> bool {
        self.name().app() == app && !self.is_removed
    }

    /// Keeps an app that has not begun to start stopped until a command starts it.
    pub(super) fn rest(&mut self) {
        self.life.on(Event::Stop { within: Duration::MAX }, Instant::now());
        self.phase.send_replace(self.life.phase());
        self.course = Course::default();
    }

    /// Starts an app that has not begun to start and would sleep.
    pub(super) fn rise(&mut self) {
        self.life.on(Event::Start, Instant::now());
        self.phase.send_replace(self.life.phase());
        self.course = Course::due(Instant::now());
    }

    /// Takes over an app of another configuration: at once if its process stays the same, else
    /// when the process has ended.
    pub(super) fn change(&mut self, app: Arc<App>, is_replaced: bool, clock: &dyn WallClock) {
        if is_replaced || self.successor.is_some() {
            self.successor = Some(app);
            self.succeed(clock);
        } else {
            self.adopt(app, clock);
        }
    }

    /// Puts the successor into its place if the app neither runs nor ends.
    pub(super) fn succeed(&mut self, clock: &dyn WallClock) {
        if !self.life.is_running()
            && let Some(successor) = self.successor.take()
        {
            self.adopt(successor, clock);
            self.preparation = None;
            if self.life.phase() == Phase::Backoff && has_setup(&self.app) {
                // The pause ends with a spawn, and the setup comes before that.
                self.life.on(Event::Start, Instant::now());
            }
            if self.times.next_run().is_some() && self.life.phase() == Phase::Stopped {
                self.life.await_its_time();
            }
        }
    }

    fn adopt(&mut self, app: Arc<App>, clock: &dyn WallClock) {
        if app.run.is_none() {
            self.listener.forget();
        }
        self.life.set(Settings::from(&*app));
        self.times.follow(&app, clock);
        self.nap.set_may_sleep(app.idle_stop.is_some());
        // The new limit counts.
        self.look_at = None;
        let awaits_its_time = self.life.is_at_rest() && self.life.phase() == Phase::Waiting;
        if app.idle_stop.is_none() && self.life.phase() == Phase::Idle
            || app.schedule.is_none() && awaits_its_time
        {
            self.life.on(Event::Start, Instant::now());
        }
        self.app = app;
    }

    pub(super) fn status(&self) -> AppStatus {
        let pid = self.incarnation.as_ref().and_then(Incarnation::pid);
        AppStatus {
            name: self.name().clone(),
            phase: self.life.phase(),
            pid: pid.filter(|_| self.life.is_alive()).map(nix::unistd::Pid::as_raw),
            since: self.since,
            restarts: self.life.restarts,
            course: self.course,
            start: self.start,
            last_exit: self.life.last_exit,
            reason: self.reason(),
            next_run: self.times.next_run().filter(|_| !self.is_removed),
        }
    }

    /// The running process, if its memory has a limit.
    pub(super) fn limited(&self) -> Option<Limited> {
        let limit = self.app.max_memory?;
        let runs = matches!(self.life.phase(), Phase::Starting | Phase::Ready | Phase::Unready);
        let pid = self.incarnation.as_ref().filter(|_| runs)?.pid()?;
        let (id, generation) = (self.id, self.life.generation());
        Some(Limited { id, generation, leader: pid.as_raw(), limit })
    }

    /// Why the app does not serve requests, or why it was restarted, for people.
    fn reason(&self) -> Option<String> {
        match self.life.phase() {
            Phase::Starting | Phase::Unready => {
                let received = self.incarnation.as_ref().map(Incarnation::last_failure);
                let received = received.filter(|reason| !reason.is_empty());
                let missing = || log::missing_notification(&self.app);
                received.or_else(missing).or_else(|| self.outgrown.clone())
            }
            Phase::Backoff => self.trouble.clone(),
            Phase::Failed => Some(match (&self.trouble, self.next_run_for_people()) {
                (Some(trouble), Some(next)) => format!("{trouble}; {next}"),
                (trouble, next) => return trouble.clone().or(next),
            }),
            Phase::Waiting | Phase::Stopped | Phase::Finished => {
                self.next_run_for_people().filter(|_| self.life.is_at_rest())
            }
            Phase::Idle => Some(match self.times.next_hours() {
                Some(next) => {
                    format!(
                        "nobody uses it; the next request starts it, or the clock at {}",
                        rfc3339(next)
                    )
                }
                None => "nobody uses it; the next request starts it".to_owned(),
            }),
            Phase::Ready => {
                let preparation = self.preparation.as_ref().map(Preparation::reason);
                preparation.or_else(|| self.outgrown.clone())
            }
            Phase::Stopping => self.outgrown.clone(),
            Phase::Setup => None,
        }
    }

    /// A start begins.
    pub(super) fn begin_span(&mut self) {
        let span = Span::current().child("app start");
        span.describe(|span| {
            let (app, process) = (self.app.name.app(), self.app.name.as_str());
            span.text("appliance.app", app);
            if process != app {
                span.text("appliance.process", process);
            }
        });
        self.start_span = Some(span);
    }

    /// Ends the span of the start if this step in the life of the app ends the start.
    fn end_span(&mut self, note: Note) {
        let failure = match note {
            Note::Ready { .. } | Note::Finished | Note::Stopped | Note::Asleep => None,
            Note::Late(_) => Some("the app was not ready in time"),
            Note::TooMuchMemory(_) => Some("the app used too much memory"),
            Note::Restarts { .. } | Note::Failed { .. } => {
                Some("the app ended before it was ready")
            }
            _ => return,
        };
        if let (Some(span), Some(failure)) = (self.start_span.take(), failure) {
            span.fail(failure);
        }
    }

    /// The trouble that a step in the life of the app means. `received`: the last answer of a probe
    /// that was not a success.
    pub(super) fn incident(&self, note: Note, received: &str) -> Option<Incident> {
        let trouble = match note {
            Note::Failed { .. } => Trouble::Failed,
            Note::Restarts { .. } => Trouble::Restarted,
            Note::TooMuchMemory(_) => Trouble::Memory,
            Note::Unready => Trouble::Unready,
            _ => return None,
        };
        let reason = match trouble {
            Trouble::Unready => Some(received.to_owned()),
            _ => self.trouble.clone(),
        };
        Some(Incident {
            app: self.app.name.clone(),
            trouble,
            reason: reason.filter(|reason| !reason.is_empty()),
            last_exit: self.life.last_exit,
            restarts: self.life.restarts,
            at: SystemTime::now(),
        })
    }

    fn next_run_for_people(&self) -> Option<String> {
        self.times.next_run().map(|next| format!("next run at {}", rfc3339(next)))
    }

    /// Remembers why the incarnation failed, and ends the span of a start. `received`: the last answer
    /// of a probe that was not a success.
    pub(super) fn note_trouble(&mut self, note: Note, received: &str) {
        self.end_span(note);
        let with = |text: String, detail: &str| {
            if detail.is_empty() { text } else { format!("{text}: {detail}") }
        };
        match note {
            Note::Wakes(_) => self.is_waking = true,
            Note::Ready { .. }
            | Note::Asleep
            | Note::Stopped
            | Note::Restarts { .. }
            | Note::Failed { .. } => self.is_waking = false,
            _ => {}
        }
        match note {
            Note::Ready { after } => {
                self.start = Some(after);
                self.up_since = Instant::now();
            }
            Note::Late(deadline) => {
                let text = format!("not ready within {}", log::brief(deadline));
                self.trouble = Some(with(text, received));
            }
            Note::Hangs(_) => {
                self.trouble = Some(with("its live probe failed".to_owned(), received));
            }
            Note::TooMuchMemory(excess) => {
                let text = log::excess(excess);
                self.trouble = Some(text.clone());
                self.outgrown = Some(format!("restarted: {text}"));
            }
            Note::Restarts { .. } | Note::Failed { .. } => {
                let memory = if received == KILLED_FOR_MEMORY { received } else { "" };
                let ended = |exit| with(format!("its process ended ({exit})"), memory);
                let ended = || self.life.last_exit.map(ended);
                let cause = self.trouble.take().or_else(ended).unwrap_or_default();
                self.outgrown.take_if(|outgrown| !outgrown.ends_with(&cause));
                self.trouble = Some(match note {
                    Note::Failed { why, .. } => with(why.to_owned(), &cause),
                    _ => cause,
                });
            }
            _ => {}
        }
    }
}

/// A random number between -1 and 1.
fn jitter() -> f64 {
    fastrand::f64() * 2.0 - 1.0
}
