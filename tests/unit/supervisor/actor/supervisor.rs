//! The supervisor with real processes.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use super::*;
use crate::config::{Notify, Phase, ProbeKind, Restart, Until, schedule};
use crate::one_process::alone;
use crate::supervisor::exit::Exit;
use crate::supervisor::handle::AppStatus;
use crate::supervisor::sample_apps::{after, name, probe, shell};

const SOON: Duration = Duration::from_secs(10);

/// A running supervisor, the only one in this process.
struct World {
    handle: Handle,
    log: LogHandle,
    running: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl World {
    /// `{DIR}` in a script is the test's folder.
    fn of(apps: impl IntoIterator<Item = App>) -> impl Future<Output = Self> {
        Self::with(apps, usize::MAX)
    }

    fn with(
        apps: impl IntoIterator<Item = App>,
        parallel_starts: usize,
    ) -> impl Future<Output = Self> {
        Self::begin(apps.into_iter().collect(), parallel_starts)
    }

    async fn begin(apps: Vec<App>, parallel_starts: usize) -> Self {
        let alone = alone().await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let dir = folder.path().display().to_string();
        let apps = apps.into_iter().map(|mut app| {
            for word in app.run.iter_mut().flat_map(|run| &mut run.command) {
                *word = word.replace("{DIR}", &dir);
            }
            app
        });
        let log = LogHandle::unwritten();
        let reaper = Reaper::start().unwrap();
        let state = folder.path().to_owned();
        let (supervisor, handle) = Supervisor::new(apps.collect(), state, reaper, log.clone());
        let running = tokio::spawn(supervisor.with_parallel_starts(parallel_starts).run());
        Self { handle, log, running, folder, _alone: alone }
    }

    async fn reaches(&self, app: &str, wanted: Phase) {
        let mut phase = self.handle.phase(&name(app)).unwrap();
        let reached = timeout(SOON, phase.wait_for(|phase| *phase == wanted)).await;
        assert!(reached.is_ok(), "{app} did not become {wanted:?}: {:?}", self.handle.status());
    }

    fn notes(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    fn of_app(&self, app: &str) -> AppStatus {
        let status = self.handle.status();
        status.into_iter().find(|status| status.name.as_str() == app).unwrap()
    }

    /// Stops all apps; returns how long that took.
    async fn end(self, budget: Duration) -> (Duration, tempfile::TempDir) {
        let began = Instant::now();
        self.handle.stop_all(budget);
        timeout(SOON, self.running).await.unwrap().unwrap();
        assert!(self.handle.status().iter().all(|status| status.pid.is_none()));
        (began.elapsed(), self.folder)
    }
}

#[tokio::test]
async fn apps_start_after_their_dependencies_and_stop_before_them() {
    let noting = |name: &str, need| {
        let script = format!(
            "trap 'echo {name} >>{{DIR}}/down; exit 0' TERM; echo {name} >>{{DIR}}/up; while :; do sleep 0.02; done"
        );
        after(shell(name, &script), need, Until::Started)
    };
    let world = World::of([noting("c", "b"), noting("b", "a"), noting("a", "")]).await;
    for app in ["a", "b", "c"] {
        world.reaches(app, Phase::Ready).await;
    }
    while world.notes("up").lines().count() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, folder) = world.end(SOON).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("down")).unwrap(), "c\nb\na\n");
}

#[tokio::test]
async fn all_output_is_logged_before_the_exit_and_exit_codes_are_kept() {
    let mut loud = shell(
        "loud",
        "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; printf last; exit 7",
    );
    loud.restart = Restart::Never;
    let world = World::of([loud]).await;
    world.reaches("loud", Phase::Failed).await;
    let lines = world.log.tail(&crate::telemetry::Selection::App("loud".into()), 1000);
    assert_eq!(lines.len(), 501);
    assert!(lines[500].ends_with("| last") && lines[499].ends_with("| line 499"));
    let status = world.of_app("loud");
    assert_eq!((status.last_exit, status.pid, status.restarts), (Some(Exit::Code(7)), None, 0));
    world.end(SOON).await;
}

#[tokio::test]
async fn an_app_reports_its_own_readiness() {
    let ready = |mut app: App, kind| {
        app.ready = Some(probe(kind));
        app
    };
    let systemd = "import os,socket; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); \
         to='\\0'+os.environ['NOTIFY_SOCKET'][1:]; s.sendto(b'STATUS=up\\nREADY=1\\n',to); \
         [s.sendto(b'WATCHDOG=1',to) for i in range(5000)]; open('{DIR}/systemd','w').write('x'); import time; time.sleep(99)";
    let world = World::of([
        ready(
            shell("log", "printf 'listening '; sleep 0.05; echo on 80; exec sleep 99"),
            ProbeKind::Log(regex::bytes::Regex::new("^listening on [0-9]+$").unwrap()),
        ),
        ready(
            // Later writes are read as well: otherwise the app would get SIGPIPE, or block.
            shell("fd", "for i in 1 2; do eval \"echo >&$NOTIFY_FD\"; sleep 0.1; done; echo >{DIR}/fd; exec sleep 99"),
            ProbeKind::Notify(Notify::Fd),
        ),
        ready(
            shell("systemd", &format!("exec python3 -c \"{systemd}\"")),
            ProbeKind::Notify(Notify::Systemd),
        ),
        ready(shell("mute", "exec sleep 99"), ProbeKind::Notify(Notify::Fd)),
    ])
    .await;
    for app in ["log", "fd", "systemd"] {
        world.reaches(app, Phase::Ready).await;
    }
    assert_eq!(world.of_app("mute").phase, Phase::Starting);
    while world.notes("fd").is_empty() || world.notes("systemd").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(["fd", "systemd"].iter().all(|app| world.of_app(app).restarts == 0));
    world.end(SOON).await;
}

#[tokio::test]
async fn a_killed_app_restarts_after_its_process_group_is_gone() {
    let script = "sleep 100 & echo $! >>{DIR}/member; echo $$ >>{DIR}/leader; wait";
    let world = World::of([shell("a", script)]).await;
    world.reaches("a", Phase::Ready).await;
    while world.notes("leader").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.handle.signal("a", Signal::SIGKILL, false).await.unwrap();
    while world.notes("leader").lines().count() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let member: i32 = world.notes("member").lines().next().unwrap().parse().unwrap();
    assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(member), None).is_err());
    let status = world.of_app("a");
    assert_eq!((status.restarts, status.last_exit), (1, Some(Exit::Signal(9))));
    world.end(SOON).await;
}

#[tokio::test]
async fn one_budget_for_layers_that_do_not_stop() {
    let stubborn = |name: &str, need| {
        let script = format!(
            "trap 'echo {name} >>{{DIR}}/asked' TERM; echo {name} >>{{DIR}}/up; while :; do sleep 0.02; done"
        );
        let mut app = after(shell(name, &script), need, Until::Ready);
        app.stop.timeout = SOON;
        app
    };
    let world = World::of([stubborn("a", ""), stubborn("b", "a"), stubborn("c", "b")]).await;
    while world.notes("up").lines().count() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (took, folder) = world.end(Duration::from_millis(1500)).await;
    assert!(took > Duration::from_secs(1) && took < Duration::from_millis(2200), "{took:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("asked")).unwrap(), "c\nb\na\n");
}

#[tokio::test]
async fn kill_all_ends_at_once() {
    let world = World::of([shell("a", "trap '' TERM; while :; do sleep 0.02; done")]).await;
    world.reaches("a", Phase::Ready).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.handle.stop_all(SOON);
    world.reaches("a", Phase::Stopping).await;
    world.handle.kill_all();
    let (took, _) = world.end(SOON).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn commands_wait_for_their_outcome_and_refuse_the_impossible() {
    let world = World::of([shell("a", "exec sleep 100")]).await;
    world.reaches("a", Phase::Ready).await;
    let (handle, first) = (world.handle.clone(), world.of_app("a").pid);
    assert_eq!(handle.stop("a", true).await, Ok(Phase::Stopped));
    assert_eq!(handle.stop("a", true).await, Ok(Phase::Stopped));
    assert_eq!(handle.start("a", true).await, Ok(Phase::Ready));
    // A start before the stop is done must not leave the stop command waiting for ever.
    let (stopped, started) = tokio::join!(handle.stop("a", true), handle.start("a", true));
    assert!(stopped.is_ok() && started == Ok(Phase::Ready), "{stopped:?} {started:?}");
    assert_eq!(handle.stop("a", true).await, Ok(Phase::Stopped));
    let refused = handle.signal("a", Signal::SIGHUP, true).await;
    assert_eq!(refused, Err(CommandError::NotRunning(name("a"))));
    assert_eq!(handle.start("a", true).await, Ok(Phase::Ready));
    assert_ne!(world.of_app("a").pid, first);
    let all = futures_util::future::join_all((0..6).map(|_| handle.restart("a", true))).await;
    assert!(all.into_iter().all(|outcome| outcome == Ok(Phase::Ready)));
    assert_eq!(handle.start("b", true).await, Err(CommandError::Unknown("b".into())));
    world.end(SOON).await;
    assert_eq!(handle.start("a", true).await, Err(CommandError::Stopping));
}

#[tokio::test]
async fn a_start_by_command_does_not_wait_for_failed_dependencies() {
    let mut job = shell("job", "exit 1");
    (job.oneshot, job.restart) = (true, Restart::Never);
    let waits = |name, need| after(shell(name, "exec sleep 100"), need, Until::Ready);
    let yearly = scheduled("yearly", "true", "@yearly");
    let later = after(waits("d", "c"), "yearly", Until::Finished);
    let world = World::of([job, waits("b", "job"), waits("c", "b"), yearly, later]).await;
    world.reaches("job", Phase::Failed).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for waiting in ["b", "c", "d"] {
        assert_eq!(world.of_app(waiting).phase, Phase::Waiting);
    }
    // Nor for those that wait for them, or for their time.
    assert_eq!(world.handle.start("d", true).await, Ok(Phase::Ready));
    assert_eq!(world.of_app("b").phase, Phase::Waiting);
    assert_eq!(world.handle.restart("b", true).await, Ok(Phase::Ready));
    world.end(SOON).await;
}

#[tokio::test]
async fn an_app_without_autostart_and_what_waits_for_it_start_by_command() {
    let mut tool = shell("tool", "exec sleep 100");
    tool.autostart = false;
    let mut job = shell("job", "exit 0");
    (job.autostart, job.oneshot) = (false, true);
    let apps = || {
        let waits = after(shell("waits", "exec sleep 100"), "tool", Until::Ready);
        let after_job = after(shell("after-job", "exec sleep 100"), "job", Until::Finished);
        [tool.clone(), waits, job.clone(), after_job, shell("other", "exec sleep 100")]
    };
    let world = World::of(apps()).await;
    world.reaches("other", Phase::Ready).await;
    let phases = || world.handle.status().into_iter().map(|status| status.phase);
    let before = [Phase::Stopped, Phase::Waiting, Phase::Stopped, Phase::Waiting, Phase::Ready];
    assert!(phases().eq(before), "{:?}", world.handle.status());
    // A reload starts none of them: neither a known app, also with another process, nor a new one.
    let mut changed = apps().to_vec();
    changed.push(App { autostart: false, ..shell("new", "exec sleep 100") });
    world.handle.reconfigure(changed, vec![name("tool")], 9).await.unwrap();
    assert!(phases().eq(before.into_iter().chain([Phase::Stopped])));
    assert_eq!(world.handle.start("tool", true).await, Ok(Phase::Ready));
    world.reaches("waits", Phase::Ready).await;
    assert_eq!(world.handle.start("job", true).await, Ok(Phase::Finished));
    world.reaches("after-job", Phase::Ready).await;
    assert_eq!(world.handle.start("new", true).await, Ok(Phase::Ready));
    assert_eq!(world.of_app("tool").restarts, 0);
    world.end(SOON).await;
}

#[tokio::test]
async fn no_more_apps_than_allowed_are_starting_and_a_command_needs_no_place() {
    let slow = |name: &str, need| {
        let script = format!(
            "echo {name} starts >>{{DIR}}/log; sleep 0.3; echo {name} is up >>{{DIR}}/log; \
             echo >&$NOTIFY_FD; exec sleep 100"
        );
        let app = after(shell(name, &script), need, Until::Ready);
        App { ready: Some(probe(ProbeKind::Notify(Notify::Fd))), ..app }
    };
    let by_hand = App { autostart: false, ..slow("e", "") };
    let apps = [slow("a", ""), slow("b", ""), slow("c", ""), slow("d", "c"), by_hand];
    let world = World::with(apps, 1).await;
    for app in ["a", "b", "c", "d"] {
        world.reaches(app, Phase::Ready).await;
    }
    let in_turn = |names: &str| {
        let lines =
            names.chars().flat_map(|name| [format!("{name} starts"), format!("{name} is up")]);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(world.notes("log").lines().collect::<Vec<_>>(), in_turn("cabd"));
    // Two apps that end at the same time come back one after the other.
    for app in ["a", "b"] {
        world.handle.signal(app, Signal::SIGKILL, false).await.unwrap();
    }
    while world.notes("log").lines().count() < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let of = |app: &str| world.of_app(app).phase;
    assert!([of("a"), of("b")].contains(&Phase::Starting), "{:?}", world.handle.status());
    world.handle.start("e", false).await.unwrap();
    world.reaches("e", Phase::Starting).await;
    for app in ["a", "b", "e"] {
        world.reaches(app, Phase::Ready).await;
    }
    let log = world.notes("log");
    let restarts = log.lines().skip(8).filter(|line| !line.starts_with('e'));
    let order: Vec<_> = restarts.map(|line| &line[2..]).collect();
    assert_eq!(order, ["starts", "is up", "starts", "is up"], "{log}");
    world.end(SOON).await;
}

fn scheduled(name: &str, script: &str, when: &str) -> App {
    App { oneshot: true, schedule: Some(schedule(when).unwrap()), ..shell(name, script) }
}

#[tokio::test]
async fn scheduled_apps_run_at_their_times_and_never_twice_at_the_same_time() {
    let long = "echo starts >>{DIR}/long; sleep 1.1; echo ends >>{DIR}/long";
    let bad_once = "echo run >>{DIR}/bad; [ -e {DIR}/tried ] && exit 0; touch {DIR}/tried; exit 1";
    let mut bad_always = scheduled("never", "echo run >>{DIR}/never; exit 3", "every 1s");
    bad_always.restart = Restart::Never;
    let mut by_hand = scheduled("by-hand", "echo run >>{DIR}/by-hand", "every 1s");
    by_hand.autostart = false;
    let world = World::of([
        scheduled("long", long, "every 1s"),
        scheduled("retried", bad_once, "every 1s"),
        bad_always,
        by_hand,
        scheduled("later", "echo run >>{DIR}/later", "@yearly"),
        after(shell("after", "exec sleep 100"), "long", Until::Finished),
    ]);
    let world = world.await;
    let of = |app: &str| world.of_app(app);
    assert_eq!((of("long").phase, of("by-hand").phase), (Phase::Waiting, Phase::Stopped));
    assert!(of("long").reason.unwrap().starts_with("next run at 2"), "{:?}", of("long"));
    assert_eq!((of("by-hand").next_run, of("after").phase), (None, Phase::Waiting));
    let soon = of("long").next_run.unwrap().duration_since(SystemTime::now());
    assert!(soon.is_ok_and(|left| left <= Duration::from_secs(1)));
    // The appliance's timers run on; a run is due in a second.
    world.reaches("after", Phase::Ready).await;
    while world.notes("long").lines().filter(|line| *line == "ends").count() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let runs = world.notes("long");
    assert!(runs.starts_with("starts\nends\nstarts\nends\n"), "never two at once: {runs}");
    world.reaches("retried", Phase::Finished).await;
    assert_eq!(of("retried").restarts, 1);
    assert!(world.notes("bad").lines().count() >= 3, "a failed run is tried again at once");
    assert!(world.notes("never").lines().count() >= 3, "a failed run does not end the schedule");
    assert_eq!(of("never").restarts, 0);
    assert_eq!(world.notes("by-hand") + &world.notes("later"), "");
    // A command runs the app now; a stop switches its times off, and a start on again.
    assert_eq!(world.handle.start("later", true).await, Ok(Phase::Finished));
    assert_eq!(world.notes("later"), "run\n");
    assert_eq!(world.handle.stop("retried", true).await, Ok(Phase::Stopped));
    assert_eq!(of("retried").next_run, None);
    let before = world.notes("bad");
    assert_eq!(world.handle.start("by-hand", true).await, Ok(Phase::Finished));
    while world.notes("by-hand").lines().count() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.notes("bad"), before);
    world.end(SOON).await;
}

#[tokio::test]
async fn restarts_at_a_time_are_no_failures_and_a_reload_changes_schedules() {
    let mut restarted = shell("restarted", "echo up >>{DIR}/up; exec sleep 100");
    (restarted.restart_at, restarted.max_restarts) = (Some(schedule("* * * * * *").unwrap()), 1);
    // A dependency that is down keeps no app down that was up.
    let restarted = after(restarted, "job", Until::Started);
    let job = shell("job", "exec sleep 100");
    let world =
        World::of([restarted.clone(), job.clone(), shell("service", "exec sleep 100")]).await;
    world.reaches("restarted", Phase::Ready).await;
    assert_eq!(world.handle.stop("job", true).await, Ok(Phase::Stopped));
    while world.notes("up").lines().count() < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let app = world.of_app("restarted");
    assert!(app.restarts >= 3 && app.phase != Phase::Failed, "{app:?}");

    // A service becomes an app with a schedule, and becomes a service again.
    let next = |app: &str| world.of_app(app).next_run;
    world.reaches("service", Phase::Ready).await;
    let change =
        |apps: [App; 3]| world.handle.reconfigure(apps.into(), vec![name("service")], usize::MAX);
    let plain = App { restart_at: None, ..restarted };
    let yearly = scheduled("service", "exec sleep 100", "@yearly");
    change([plain.clone(), job.clone(), yearly]).await.unwrap();
    world.reaches("service", Phase::Waiting).await;
    assert!(next("service").is_some());
    let hourly = scheduled("service", "exec sleep 100", "@hourly");
    let before = next("service");
    change([plain.clone(), job.clone(), hourly]).await.unwrap();
    assert!(next("service") < before && world.of_app("service").phase == Phase::Waiting);
    change([plain, job, shell("service", "exec sleep 100")]).await.unwrap();
    world.reaches("service", Phase::Ready).await;
    assert_eq!(next("service"), None);
    let count = world.notes("up").lines().count();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(world.notes("up").lines().count(), count, "the schedule of restarts is gone");
    world.end(SOON).await;
}

#[tokio::test]
async fn a_job_runs_when_its_schedule_is_removed() {
    let yearly = scheduled("job", "true", "@yearly");
    let world = World::of([yearly.clone()]).await;
    world.reaches("job", Phase::Waiting).await;
    let job = App { schedule: None, ..yearly };
    world.handle.reconfigure(vec![job], Vec::new(), usize::MAX).await.unwrap();
    world.reaches("job", Phase::Finished).await;
    world.end(SOON).await;
}

#[tokio::test]
async fn a_critical_failure_is_reported_once_with_its_code() {
    let failing = |name, script| {
        let mut app = shell(name, script);
        (app.critical, app.restart) = (true, Restart::Never);
        app
    };
    let world = World::of([failing("a", "exit 3"), failing("b", "sleep 0.2; exit 4")]).await;
    let mut critical = world.handle.critical();
    timeout(SOON, critical.wait_for(Option::is_some)).await.unwrap().unwrap();
    world.reaches("b", Phase::Failed).await;
    assert_eq!(*critical.borrow(), Some(Critical { app: name("a"), code: 3 }));
    world.end(SOON).await;
}

#[tokio::test]
async fn a_process_that_left_its_group_is_swept() {
    let script = "setsid sh -c 'trap \"echo asked >{DIR}/asked; exit\" TERM; echo $$ >{DIR}/escaped; while :; do sleep 0.02; done' & exec sleep 100";
    let world = World::of([shell("a", script)]).await;
    while world.notes("escaped").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, folder) = world.end(SOON).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("asked")).unwrap(), "asked\n");
}

/// A shell command that starts a daemon: a new session, and a parent that ends.
fn daemon(note: &str, more: &str) -> String {
    format!(
        "(setsid {more} sh -c 'trap \"echo {note} >>{{DIR}}/asked; exit\" TERM; echo $$ >>{{DIR}}/{note}; \
         while :; do sleep 0.02; done' &)"
    )
}

fn with_port(mut app: App, port: u16) -> App {
    app.port = Some(port);
    app
}

fn lives(pid: &str) -> bool {
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    nix::sys::signal::kill(pid, None).is_ok()
}

#[tokio::test]
async fn daemons_end_with_their_app_and_with_no_other() {
    let script = |note: &str, more| daemon(note, more) + " ; exec sleep 100";
    let of = |name: &str, port| with_port(shell(name, &script(name, "")), port);
    // As some programs do, this one cleans its environment: it is known by its ancestor.
    let chain = "setsid env -i sh -c 'echo $$ >{DIR}/chain; sleep 100' & exec sleep 100";
    let mut chain = with_port(shell("chain", chain), 3);
    chain.stop.timeout = Duration::from_millis(200);
    let world = World::of([of("a", 1), of("b", 2), chain]).await;
    while ["a", "b", "chain"].iter().any(|file| world.notes(file).is_empty()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (a, b, chain) = (world.notes("a"), world.notes("b"), world.notes("chain"));
    assert_eq!(world.handle.stop("a", true).await, Ok(Phase::Stopped));
    assert!(!lives(&a) && lives(&b) && lives(&chain));
    assert_eq!(world.notes("asked"), "a\n");
    world.handle.signal("b", Signal::SIGKILL, false).await.unwrap();
    while world.notes("b").lines().count() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!lives(&b), "a crash does not leave it to the replacement");
    assert_eq!(world.handle.restart("b", true).await, Ok(Phase::Ready));
    assert!(lives(&chain));
    world.end(SOON).await;
    assert!(!lives(&chain));
}

#[tokio::test]
async fn a_daemon_that_ignores_term_is_killed_and_its_children_too() {
    let script = "(setsid sh -c 'trap \"\" TERM; sleep 100 & echo $! $$ >{DIR}/pids; while :; do sleep 1; done' &) ; exec sleep 100";
    let mut app = with_port(shell("a", script), 1);
    app.stop.timeout = Duration::from_millis(300);
    let world = World::of([app]).await;
    while world.notes("pids").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pids = world.notes("pids");
    let began = Instant::now();
    assert_eq!(world.handle.stop("a", true).await, Ok(Phase::Stopped));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // The kernel ends a killed process a moment after the signal.
    while pids.split_whitespace().any(lives) {
        assert!(began.elapsed() < Duration::from_secs(3), "{pids}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.end(SOON).await;
}

#[tokio::test]
async fn a_daemon_of_an_apps_own_user_needs_no_sign_of_its_app() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let script = daemon("nobody", "env -i PATH=$PATH") + " ; exec sleep 100";
    let mut app = with_port(shell("a", &script), 1);
    app.run.as_mut().unwrap().user = Some("nobody".into());
    let world = World::of([app, with_port(shell("b", "exec sleep 100"), 2)]).await;
    while world.notes("nobody").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pid = world.notes("nobody");
    assert_eq!(world.handle.stop("a", true).await, Ok(Phase::Stopped));
    assert!(!lives(&pid));
    world.end(SOON).await;
}

#[tokio::test]
async fn an_app_that_runs_elsewhere_and_waits_for_nothing_is_ready_first() {
    let _alone = alone().await;
    let elsewhere = |name: &str| App { run: None, ..shell(name, "") };
    let probed = App { ready: Some(probe(ProbeKind::Exec(Vec::new()))), ..elsewhere("probed") };
    let apps = vec![
        elsewhere("plain"),
        after(elsewhere("later"), "plain", Until::Ready),
        probed,
        shell("local", "exec sleep 60"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let reaper = Reaper::start().unwrap();
    let log = LogHandle::unwritten();
    let (_not_run, handle) = Supervisor::new(apps, folder.path().to_owned(), reaper, log);
    let phases: Vec<_> = handle.status().iter().map(|status| status.phase).collect();
    assert_eq!(phases, [Phase::Ready, Phase::Waiting, Phase::Waiting, Phase::Waiting]);
    assert!(handle.phase(&name("plain")).unwrap().borrow().is_ready());
}

#[tokio::test]
async fn nothing_is_left_of_a_removed_app() {
    let sleeps = |app| shell(app, "exec sleep 100");
    let world = World::of([sleeps("stays"), sleeps("goes")]).await;
    for app in ["stays", "goes"] {
        world.reaches(app, Phase::Ready).await;
    }
    let listener = Arc::downgrade(&world.handle.listener_checks()[&name("goes")]);
    let changed = world.handle.reconfigure(vec![sleeps("stays")], Vec::new(), usize::MAX).await;
    changed.unwrap();
    let forgotten = async {
        while listener.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(SOON, forgotten).await.is_ok(), "{} hold it", listener.strong_count());
    world.end(SOON).await;
}
