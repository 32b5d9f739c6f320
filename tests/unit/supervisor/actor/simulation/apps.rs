//! Random configurations of apps, and random changes of them.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

use crate::config::{
    App, AppName, Backoff, Probe, ProbeKind, Restart, Run, Setup, StopTarget, Until,
};
use crate::supervisor::sample_apps::{after, app, run};

/// All names that occur. A dependency has a smaller letter.
pub(super) const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// The names of apps that may sleep. No app waits for one of them.
pub(super) const SLEEPERS: [&str; 2] = ["f", "g"];

/// The apps of a configuration, and what a reload needs to know about them.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) number: u64,
    /// Each app with the version of its process.
    pub(super) apps: Vec<(App, u64)>,
    pub(super) parallel_starts: usize,
}

impl Configuration {
    pub(super) fn random(rng: &mut Rng, folder: &Path) -> Self {
        let apps = NAMES.iter().filter(|_| rng.u32(0..3) > 0).copied().collect::<Vec<_>>();
        let mut new = Self { number: 0, apps: Vec::new(), parallel_starts: parallel_starts(rng) };
        for name in apps {
            let app = new.app(name, rng, folder);
            new.apps.push((app, 1));
        }
        new.write_commands();
        new
    }

    /// The next configuration, and the apps whose process it replaces.
    pub(super) fn changed(&self, rng: &mut Rng, folder: &Path) -> (Self, Vec<AppName>) {
        let mut next = Self { number: self.number + 1, apps: Vec::new(), ..self.clone() };
        let mut replaced = Vec::new();
        if rng.bool() {
            next.parallel_starts = parallel_starts(rng);
        }
        for name in NAMES {
            let known = self.get(name);
            match (known, rng.u32(0..12)) {
                (Some(_), 0) => {}
                (None, 0 | 1) => {
                    let app = next.app(name, rng, folder);
                    next.apps.push((app, 1));
                }
                (Some((known, version)), 1 | 2) => {
                    let app = next.app(name, rng, folder);
                    replaced.push(known.name.clone());
                    next.apps.push((app, version + 1));
                }
                (Some((known, version)), 3) => {
                    let mut app = known.clone();
                    settings(&mut app, rng);
                    next.apps.push((app, *version));
                }
                (Some(known), _) => next.apps.push(known.clone()),
                (None, _) => {}
            }
        }
        next.write_commands();
        (next, replaced)
    }

    pub(super) fn get(&self, name: &str) -> Option<&(App, u64)> {
        self.apps.iter().find(|(app, _)| app.name.as_str() == name)
    }

    pub(super) fn list(&self) -> Vec<App> {
        self.apps.iter().map(|(app, _)| app.clone()).collect()
    }

    /// The name of an app, sometimes of one that does not exist.
    pub(super) fn any_name(rng: &mut Rng) -> &'static str {
        NAMES[rng.usize(0..NAMES.len())]
    }

    /// The simulated kernel reads in the command what it has to know.
    fn write_commands(&mut self) {
        let number = self.number.to_string();
        for (app, version) in &mut self.apps {
            if let Some(run) = &mut app.run {
                // A job ends by itself when everything works.
                let program = if app.oneshot { "/job" } else { "/app" };
                let words = [program, app.name.as_str(), &version.to_string(), &number];
                run.command = words.map(str::to_owned).to_vec();
            }
        }
    }

    fn app(&self, name: &str, rng: &mut Rng, folder: &Path) -> App {
        let mut app = app(name, &[]);
        settings(&mut app, rng);
        app.autostart = rng.u32(0..8) > 0;
        app.stop.target = if rng.bool() { StopTarget::Group } else { StopTarget::Leader };
        app.oneshot = rng.u32(0..8) == 0;
        if rng.u32(0..12) == 0 {
            // It runs elsewhere.
            (app.run, app.oneshot, app.idle_stop) = (None, false, None);
        } else {
            app.run = Some(process(name, rng, folder));
            if app.oneshot {
                app.idle_stop = None;
            }
            let exec =
                |asks: &str| ProbeKind::Exec(["/probe", name, asks].map(str::to_owned).to_vec());
            let kind = match rng.u32(0..4) {
                0 => None,
                1 => Some(ProbeKind::Log(regex::bytes::Regex::new("^ready$").unwrap())),
                _ => Some(exec("ready")),
            };
            app.ready = kind.map(|kind| probe(kind, rng));
            app.live = (rng.u32(0..3) == 0).then(|| probe(exec("live"), rng));
        }
        let may_need = |need: &str| need < name && !SLEEPERS.contains(&need);
        for (need, _) in self.apps.iter().filter(|(need, _)| may_need(need.name.as_str())) {
            if rng.u32(0..3) == 0 {
                let until = match rng.bool() {
                    _ if need.oneshot => Until::Finished,
                    true => Until::Ready,
                    false => Until::Started,
                };
                app = after(app, need.name.as_str(), until);
            }
        }
        app
    }
}

fn parallel_starts(rng: &mut Rng) -> usize {
    [1, 2, usize::MAX][rng.usize(0..3)]
}

/// The settings that change without a new process.
fn settings(app: &mut App, rng: &mut Rng) {
    app.restart =
        [Restart::Always, Restart::Always, Restart::OnFailure, Restart::Never][rng.usize(0..4)];
    let min = Duration::from_millis([1, 10, 500][rng.usize(0..3)]);
    app.backoff = Backoff { min, max: min * [1, 2, 8][rng.usize(0..3)] };
    app.max_restarts = [0, 1, 3, 100_000, 100_000][rng.usize(0..5)];
    app.window = Duration::from_hours(10);
    app.critical = rng.u32(0..6) == 0;
    app.live_failures = rng.u32(1..4);
    app.stop.timeout = Duration::from_millis([0, 5, 200, 3_000][rng.usize(0..4)]);
    let idle = [None, Some(1_000), Some(5_000), Some(15_000)][rng.usize(0..4)];
    let may_sleep = SLEEPERS.contains(&app.name.as_str()) && app.run.is_some() && !app.oneshot;
    app.idle_stop = idle.filter(|_| may_sleep).map(Duration::from_millis);
    for probe in app.ready.iter_mut().chain(&mut app.live) {
        probe.interval = interval(rng);
    }
}

fn interval(rng: &mut Rng) -> Duration {
    Duration::from_millis([500, 2_000, 10_000][rng.usize(0..3)])
}

fn probe(kind: ProbeKind, rng: &mut Rng) -> Probe {
    Probe {
        kind,
        interval: interval(rng),
        timeout: Duration::from_millis([50, 300, 1_500][rng.usize(0..3)]),
        deadline: Duration::from_millis([700, 2_000, 10_000][rng.usize(0..3)]),
    }
}

fn process(name: &str, rng: &mut Rng, folder: &Path) -> Run {
    let mut run = run(&[]);
    run.log = rng.bool();
    if rng.u32(0..6) == 0 {
        // Two apps may have a step that creates the same path.
        let creates = folder.join(["shared", name][rng.usize(0..2)]);
        let words = ["/setup", name, &creates.display().to_string()].map(str::to_owned);
        run.setup = vec![Setup { run: words.to_vec(), creates, env: Vec::new() }];
    }
    run
}
