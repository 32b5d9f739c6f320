//! Random configurations of apps, and random changes of them.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

use crate::config::{
    After, App, AppName, Backoff, Probe, ProbeKind, Restart, Run, Setup, StopTarget, Until,
    schedule, warm_hours,
};
use crate::supervisor::sample_apps::{after, app, run};

/// All names that occur. A dependency has a smaller letter.
pub(super) const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// The names of apps that may sleep. No app waits for one of them.
pub(super) const SLEEPERS: [&str; 2] = ["f", "g"];

/// The names of apps that may have several processes.
pub(super) const SEVERAL: [&str; 2] = ["e", "g"];

pub(super) const EVERY_20_SECONDS: &str = "*/20 * * * * *";

/// What a command can be about.
const TARGETS: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "e.0", "e.1", "g.0", "g.2"];

/// What a process is called in the simulated kernel: an app with one process and the first process
/// of an app with several are the same.
pub(super) fn key(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{name}.0") }
}

/// The apps of a configuration, and what a reload needs to know about them.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) number: u64,
    /// Each app with the version of its processes.
    apps: Vec<(App, u64)>,
    /// The processes of all apps.
    pub(super) processes: Vec<(App, u64)>,
    pub(super) parallel_starts: usize,
}

impl Configuration {
    pub(super) fn random(rng: &mut Rng, folder: &Path) -> Self {
        let apps = NAMES.iter().filter(|_| rng.u32(0..3) > 0).copied().collect::<Vec<_>>();
        let parallel_starts = parallel_starts(rng);
        let mut new = Self { number: 0, apps: Vec::new(), processes: Vec::new(), parallel_starts };
        for name in apps {
            let app = new.app(name, rng, folder);
            new.apps.push((app, 1));
        }
        new.list_processes();
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
            let known = self.apps.iter().find(|(app, _)| app.name.as_str() == name);
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
        next.list_processes();
        (next, replaced)
    }

    /// A process and its version.
    pub(super) fn get(&self, process: &str) -> Option<&(App, u64)> {
        self.processes.iter().find(|(one, _)| key(one.name.as_str()) == key(process))
    }

    pub(super) fn list(&self) -> Vec<App> {
        self.processes.iter().map(|(one, _)| one.clone()).collect()
    }

    /// The name of an app or of a process, sometimes of one that does not exist.
    pub(super) fn any_name(rng: &mut Rng) -> &'static str {
        TARGETS[rng.usize(0..TARGETS.len())]
    }

    fn list_processes(&mut self) {
        let names = |app: &App| match app.replicas {
            1 => vec![app.name.clone()],
            several => (0..several).map(|number| app.name.replica(number)).collect(),
        };
        let mut all = Vec::new();
        for (app, version) in &self.apps {
            // What waits for an app waits for each of its processes.
            let each = |need: &After| {
                let need_of = self.apps.iter().find(|(one, _)| one.name == need.app);
                let Some((need_of, _)) = need_of else { return Vec::new() };
                // Only a job finishes; the other app may have become one, or none.
                let until = match need.until {
                    _ if need_of.oneshot => Until::Finished,
                    Until::Finished => Until::Ready,
                    until => until,
                };
                let after = |app| After { app, until };
                names(need_of).into_iter().map(after).collect::<Vec<_>>()
            };
            let after: Vec<After> = app.after.iter().flat_map(each).collect();
            for name in names(app) {
                let one = App { name, after: after.clone(), ..app.clone() };
                all.push((self.with_commands(one, *version), *version));
            }
        }
        self.processes = all;
    }

    /// The simulated kernel reads in the command what it has to know.
    fn with_commands(&self, mut app: App, version: u64) -> App {
        if let Some(run) = &mut app.run {
            // A job ends by itself when everything works.
            let program = if app.oneshot { "/job" } else { "/app" };
            let words =
                [program, app.name.as_str(), &version.to_string(), &self.number.to_string()];
            run.command = words.map(str::to_owned).to_vec();
        }
        for probe in app.ready.iter_mut().chain(&mut app.live) {
            if let ProbeKind::Exec(words) = &mut probe.kind {
                app.name.as_str().clone_into(&mut words[1]);
            }
        }
        app
    }

    fn app(&self, name: &str, rng: &mut Rng, folder: &Path) -> App {
        let mut app = app(name, &[]);
        app.oneshot = rng.u32(0..8) == 0;
        settings(&mut app, rng);
        app.autostart = rng.u32(0..8) > 0;
        app.stop.target = if rng.bool() { StopTarget::Group } else { StopTarget::Leader };
        if rng.u32(0..12) == 0 {
            // It runs elsewhere.
            (app.run, app.oneshot, app.idle_stop, app.replicas) = (None, false, None, 1);
            (app.schedule, app.restart_at, app.keep_warm) = (None, None, None);
        } else {
            app.run = Some(process(name, rng, folder));
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
    let lasts = app.run.is_some() && !app.oneshot;
    let idle = [None, Some(1_000), Some(5_000), Some(15_000)][rng.usize(0..4)];
    let may_sleep = lasts && SLEEPERS.contains(&app.name.as_str());
    app.idle_stop = idle.filter(|_| may_sleep).map(Duration::from_millis);
    let may_be_several = lasts && SEVERAL.contains(&app.name.as_str());
    app.replicas = if may_be_several { rng.u32(1..4) } else { 1 };
    times(app, rng);
    for probe in app.ready.iter_mut().chain(&mut app.live) {
        probe.interval = interval(rng);
    }
}

/// When the app runs, restarts or stays up by the clock, which shows 23:00 at first.
fn times(app: &mut App, rng: &mut Rng) {
    let runs = ["every 5s", "*/7 * * * * *", "@hourly"].get(rng.usize(0..4));
    let restarts = [EVERY_20_SECONDS, "5 * * * *"].get(rng.usize(0..8));
    let hours = ["23:01-23:03", "23:05-23:30", "00:00-24:00"].get(rng.usize(0..6));
    let parsed = |text: Option<&&str>| text.map(|text| schedule(text).unwrap());
    app.schedule = parsed(runs.filter(|_| app.oneshot));
    app.restart_at = parsed(restarts.filter(|_| app.run.is_some() && !app.oneshot));
    app.keep_warm = hours.filter(|_| app.idle_stop.is_some()).map(|text| warm_hours(text).unwrap());
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
