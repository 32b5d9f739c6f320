//! One simulated run: a supervisor, its operator, and what is checked.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use nix::sys::signal::Signal;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

use super::apps::{Configuration, NAMES, SEVERAL, SLEEPERS};
use super::checks::{Known, agree, too_early, too_often};
use super::clock::SimulatedClock;
use super::events::pass_on;
use super::kernel::SimulatedKernel;
use crate::config::{Phase, app_of};
use crate::supervisor::actor::supervisor::Supervisor;
use crate::supervisor::handle::{AppStatus, CommandError, Handle};
use crate::supervisor::process::memory_kills::MemoryKills;
use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::sample_apps::name;
use crate::supervisor::wall_clock::WallClock as _;
use crate::telemetry::LogHandle;

/// What is left of a run.
pub(super) struct Outcome {
    pub(super) steps: u64,
    pub(super) digest: u64,
    pub(super) trace: String,
    violations: Vec<String>,
}

impl Outcome {
    pub(super) fn is_right(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn check(&self, seed: u64) {
        assert!(
            self.violations.is_empty(),
            "{}seed {seed}: {:#?}\nrun it again with SIMULATION_SEED={seed}",
            self.trace,
            self.violations
        );
    }
}

pub(super) struct World {
    rng: Rng,
    pub(super) kernel: Arc<SimulatedKernel>,
    pub(super) clock: SimulatedClock,
    pub(super) handle: Handle,
    pub(super) known: Arc<Mutex<Known>>,
    pub(super) configuration: Configuration,
    running: JoinHandle<Instant>,
    waiting: Vec<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn live(seed: u64, is_traced: bool) -> Outcome {
        let mut world = Self::new(seed, is_traced);
        world.trouble().await;
        if world.rng.u32(0..4) > 0 {
            world.rest().await;
        }
        world.end().await
    }

    fn new(seed: u64, is_traced: bool) -> Self {
        static LOG: LazyLock<LogHandle> = LazyLock::new(LogHandle::unwritten);
        let folder = tempfile::tempdir().unwrap();
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(!seed);
        let kernel = Arc::new(SimulatedKernel::new(seed, is_traced));
        let reaper = Reaper::over(kernel.clone());
        let configuration = Configuration::random(&mut rng, folder.path());
        let clock = SimulatedClock::new();
        let (mut supervisor, handle) = Supervisor::on_clock(
            Box::new(clock.clone()),
            configuration.list(),
            folder.path().to_owned(),
            reaper.clone(),
            LOG.clone(),
        );
        supervisor = supervisor.with_parallel_starts(configuration.parallel_starts);
        if rng.bool() {
            // The issuer does not sleep, and has one process.
            let issuer = NAMES[rng.usize(0..4)];
            supervisor = supervisor.with_issuer(&name(issuer));
        }
        supervisor.launcher.memory_kills = Arc::new(MemoryKills::of(Vec::new()));
        let (events, on_event) = unbounded_channel();
        let to_supervisor = std::mem::replace(&mut supervisor.launcher.events, events);
        tokio::spawn(pass_on(on_event, to_supervisor, kernel.clone(), Rng::with_seed(seed ^ 1)));

        let known = Arc::new(Mutex::new(Known::default()));
        known.lock().unwrap().configurations.insert(0, configuration.clone());
        let (asked, of) = (handle.clone(), known.clone());
        kernel.check_spawns(Box::new(move |app, number, attempts| {
            too_early(app, number, &asked, &of).or_else(|| too_often(app, number, attempts, &of))
        }));
        let died = kernel.clone();
        tokio::spawn(async move {
            loop {
                died.deaths.notified().await;
                reaper.reap();
            }
        });
        let (looking, shown, time) = (kernel.clone(), handle.clone(), clock.clone());
        let look = move |kernel: &SimulatedKernel| {
            agree(kernel, &shown.status(), time.now().into());
        };
        tokio::spawn(async move { looking.run(look).await });
        let running = tokio::spawn(async move {
            supervisor.run().await;
            Instant::now()
        });
        Self {
            rng,
            kernel,
            clock,
            handle,
            known,
            configuration,
            running,
            waiting: Vec::new(),
            folder,
        }
    }

    /// Commands, reloads and blows, one after the other.
    async fn trouble(&mut self) {
        for _ in 0..self.rng.u32(5..60) {
            let pause = [0, 1, 30, 700, 4_000][self.rng.usize(0..5)];
            if pause > 0 {
                sleep(Duration::from_millis(self.rng.u64(0..pause))).await;
            }
            let app = Configuration::any_name(&mut self.rng);
            match self.rng.u32(0..26) {
                0..=2 => self.command(app, "start").await,
                3..=5 => self.command(app, "stop").await,
                6..=8 => self.command(app, "restart").await,
                9 => {
                    let signals =
                        [Signal::SIGHUP, Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];
                    let signal = signals[self.rng.usize(0..4)];
                    let _ = self.handle.signal(app, signal, self.rng.bool()).await;
                }
                10..=12 => self.reload().await,
                13 => self.storm().await,
                14..=19 => {
                    let signals =
                        [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];
                    self.kernel.strike(app, signals[self.rng.usize(0..4)]);
                }
                20..=22 => {
                    let app = SLEEPERS[self.rng.usize(0..SLEEPERS.len())];
                    self.request(app);
                }
                23 | 24 => self.set_the_clock(),
                _ => {
                    let pause = Duration::from_millis(self.rng.u64(0..20_000));
                    self.kernel.state().note(|| format!("suspended for {pause:?}"));
                    self.kernel.state().holds += 1;
                    advance(pause).await;
                    self.kernel.state().holds -= 1;
                    self.kernel.state().note(|| "continued".to_owned());
                }
            }
        }
    }

    fn set_the_clock(&mut self) {
        let most = [2_000, 60_000, 20_000_000][self.rng.usize(0..3)];
        let by = SignedDuration::from_millis(self.rng.i64(-most..most));
        self.kernel.state().note(|| format!("the clock is set by {by}"));
        self.clock.set(by);
    }

    /// A request to an app that may sleep.
    pub(super) fn request(&self, app: &str) {
        let sleepers = self.handle.sleepers();
        let Some((_, sleeper)) = sleepers.iter().find(|(name, _)| name.as_str() == app) else {
            return;
        };
        self.kernel.state().note(|| format!("request to {app}"));
        // Each start for a request has restarts of its own.
        self.known.lock().unwrap().rushed.insert(app.to_owned());
        sleeper.used(Instant::now());
        sleeper.wake();
    }

    /// A signal to every app, every 10 ms.
    async fn storm(&mut self) {
        let signals = [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];
        for _ in 0..self.rng.u32(5..100) {
            for app in NAMES {
                self.kernel.strike(app, signals[self.rng.usize(0..4)]);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Remembers which apps with several processes have failed ones.
    pub(super) fn note_failures(&self) {
        let statuses = self.handle.status();
        let failed = statuses.iter().filter(|one| one.phase == Phase::Failed);
        let failed = failed.filter(|one| one.name.is_replica());
        self.known.lock().unwrap().failed.extend(failed.map(|one| one.name.app().to_owned()));
    }

    async fn command(&mut self, app: &'static str, what: &'static str) {
        self.note_failures();
        let wait = self.rng.u32(0..4) == 0;
        self.kernel.state().note(|| format!("{what} {app}, wait: {wait}"));
        forgive(&self.kernel, app);
        if SEVERAL.contains(&app_of(app)) {
            // One process after the other.
            self.known.lock().unwrap().rushed.insert(app_of(app).to_owned());
        }
        if what != "stop" {
            self.known.lock().unwrap().urged.insert(app_of(app).to_owned());
        }
        let (handle, kernel) = (self.handle.clone(), self.kernel.clone());
        let work = async move {
            forgive(&kernel, app);
            let done = match what {
                "start" => handle.start(app, wait).await,
                "stop" => handle.stop(app, wait).await,
                _ => handle.restart(app, wait).await,
            };
            if wait && what == "stop" && done == Ok(Phase::Stopped) {
                let is_of = |one: &AppStatus| [one.name.as_str(), one.name.app()].contains(&app);
                let all = handle.status();
                let stopped = all.iter().filter(|one| is_of(one) && one.phase == Phase::Stopped);
                for one in stopped {
                    let living = kernel.living(one.name.as_str());
                    if !living.is_empty() {
                        kernel.state().violate(format!("{app} is stopped, but {living:?} live"));
                    }
                }
            }
        };
        if wait {
            self.waiting.push(tokio::spawn(work));
            if self.rng.bool() {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            } else {
                self.known.lock().unwrap().rushed.insert(app_of(app).to_owned());
            }
        } else if timeout(Duration::from_secs(1), work).await.is_err() {
            self.kernel.state().violate(format!("no reply to {what} {app}"));
        }
        forgive(&self.kernel, app);
    }

    async fn reload(&mut self) {
        let (next, replaced) = self.configuration.changed(&mut self.rng, self.folder.path());
        self.kernel.state().note(|| format!("reload {}: replaces {replaced:?}", next.number));
        self.note_failures();
        {
            let mut known = self.known.lock().unwrap();
            known.configurations.insert(next.number, next.clone());
            known.rushed.extend(SEVERAL.map(str::to_owned));
            known.failed.retain(|app| !replaced.iter().any(|one| one.as_str() == app));
        }
        self.kernel.state().unasked.clear();
        let asked = self.handle.reconfigure(next.list(), replaced, next.parallel_starts);
        match timeout(Duration::from_secs(1), asked).await {
            Ok(Ok(())) => self.configuration = next,
            other => self.kernel.state().violate(format!("the reload answered {other:?}")),
        }
        self.kernel.state().unasked.clear();
    }

    /// Stops everything within a budget.
    async fn end(mut self) -> Outcome {
        let budget = Duration::from_millis([0, 100, 1_000, 10_000][self.rng.usize(0..4)]);
        self.kernel.state().note(|| format!("stop all within {budget:?}"));
        let began = Instant::now();
        // What is shown of apps that end only in the sweep does not change any more.
        self.kernel.state().is_ending = true;
        self.handle.stop_all(budget);
        let mut suspended = Duration::ZERO;
        match self.rng.u32(0..6) {
            0 => {
                sleep(Duration::from_millis(self.rng.u64(0..2_000))).await;
                self.handle.kill_all();
            }
            1 => {
                suspended = Duration::from_millis(self.rng.u64(0..9_000));
                advance(suspended).await;
                let _ = self.handle.reconfigure(Vec::new(), Vec::new(), 1).await;
            }
            _ => {}
        }
        let limit = budget + suspended + Duration::from_millis(1_300);
        let ended = timeout(limit + Duration::from_mins(1), &mut self.running).await;
        let Ok(Ok(ended)) = ended else {
            self.kernel.state().violate(format!("the stop does not end: {ended:?}"));
            return self.outcome();
        };
        let took = ended - began;
        if took > limit {
            self.kernel.state().violate(format!("a stop within {budget:?} took {took:?}"));
        }
        let refused = self.handle.start("a", false).await;
        if !matches!(refused, Err(CommandError::Stopping | CommandError::Unknown(_))) {
            self.kernel.state().violate(format!("a start after the end: {refused:?}"));
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if timeout(Duration::from_secs(1), waiting).await.is_err() {
                self.kernel.state().violate("a command waits after the end".to_owned());
            }
        }
        let left = self.kernel.all_living();
        if !left.is_empty() {
            self.kernel.state().violate(format!("after the end, {left:?} run"));
        }
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        let mut state = self.kernel.state();
        Outcome {
            steps: state.steps,
            digest: state.digest(),
            trace: state.trace(),
            violations: std::mem::take(&mut state.violations),
        }
    }
}

/// The restarts before do not count any more.
fn forgive(kernel: &SimulatedKernel, app: &str) {
    kernel.state().unasked.retain(|one, _| one != app && app_of(one) != app);
}
