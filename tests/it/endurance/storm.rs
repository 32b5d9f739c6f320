//! A storm of signals to every app, with reloads in between.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::show;
use crate::harness::{Appliance, eventually};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const BLOWS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT];

/// How much longer the storm may take than it should.
const BUSY: Duration = Duration::from_secs(20);

/// A running process of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    app: String,
    pid: i32,
    group: i32,
    started: String,
}

impl Seen {
    /// The name of the app is in the environment, with the mark of this test.
    fn at(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let words: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let app = variables.find_map(|one| one.strip_prefix(b"STORM="))?;
        let app = String::from_utf8_lossy(app).into_owned();
        let (group, started) = (words[2].parse().unwrap(), words[19].to_owned());
        (words[0] != "Z").then_some(Self { app, pid, group, started })
    }
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    lists.iter().flat_map(|list| list.split_whitespace()).map(|pid| pid.parse().unwrap()).collect()
}

/// The leaders of the apps' process groups, by app.
fn leaders(appliance: &Appliance) -> BTreeMap<String, Vec<Seen>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for seen in children(appliance.pid()).into_iter().filter_map(Seen::at) {
        if seen.group == seen.pid {
            found.entry(seen.app.clone()).or_default().push(seen);
        }
    }
    found
}

/// Processes of the storm on the whole machine.
fn left(mark: &str) -> Vec<Seen> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Seen::at).filter(|seen| seen.app.starts_with(mark)).collect()
}

fn storm(mark: &str, number: u32) -> String {
    let app = |name: &str| {
        format!(
            "[apps.{name}]\ncommand = [\"sh\", \"-c\", \"sleep 1000 & sleep 1000\"]\n\
             env = {{ STORM = \"{mark}{name}\", N = \"{number}\" }}\nstop_timeout = \"200ms\"\n\
             backoff = {{ min = \"1ms\", max = \"5ms\" }}\nmax_restarts = 1000000\n"
        )
    };
    NAMES.map(app).concat()
}

/// Fails if two processes lead one app at the same time.
fn check_alone(appliance: &Appliance, app: &str, running: &[Seen]) {
    // The processes were not read in one moment.
    let runs = |seen: &&Seen| Seen::at(seen.pid).as_ref() == Some(*seen);
    let both: Vec<_> = running.iter().filter(runs).collect();
    assert!(both.len() < 2, "{app} runs twice: {both:?}\n{}", appliance.log());
}

/// Waits until `status` shows each app as it is; how long that took.
async fn agrees(appliance: &Appliance, mark: &str) -> Duration {
    let since = Instant::now();
    eventually("the state to agree with the processes", async || {
        let status = appliance.cli(&["status", "--json"]).stdout;
        let status: serde_json::Value = serde_json::from_slice(&status).ok()?;
        let running = leaders(appliance);
        let agrees = |name: &&str| {
            let mut apps = status["apps"].as_array().into_iter().flatten();
            let shown = apps.find(|app| app["name"] == **name).cloned().unwrap_or_default();
            let of = running.get(&format!("{mark}{name}")).map_or(&[][..], Vec::as_slice);
            shown["state"] == "ready" && of.len() == 1 && shown["pid"] == of[0].pid
        };
        NAMES.iter().all(agrees).then_some(())
    })
    .await;
    since.elapsed()
}

/// One signal to each app.
fn strike(appliance: &Appliance, blows: &mut usize) {
    for (app, running) in leaders(appliance) {
        if running.len() > 1 {
            check_alone(appliance, &app, &running);
        }
        for seen in running {
            *blows += 1;
            let _ = kill(Pid::from_raw(seen.pid), BLOWS[*blows % BLOWS.len()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_signals_and_reloads_leaves_one_process_of_each_app() {
    let mark = format!("{}-", std::process::id());
    let mut appliance = Appliance::start(&storm(&mark, 0));
    appliance.wait_for_state("f", "ready").await;
    let path = appliance.path("appliance.toml");
    let head = fs::read_to_string(&path).unwrap().split_once("[apps").unwrap().0.to_owned();
    let length = super::rounds(Duration::from_secs(4), Duration::from_mins(1));
    let (began, mut reloads, mut blows, mut rounds) = (Instant::now(), 0, 0, 0_u32);
    let mut slowest = Duration::ZERO;
    // A busy machine needs longer.
    let long_enough = |blows: usize, reloads: u128| {
        let passed = began.elapsed();
        passed > length && (blows > 100 && reloads > 2 || passed > 4 * length + BUSY)
    };
    while !long_enough(blows, reloads) {
        let next = Instant::now() + Duration::from_millis(10);
        strike(&appliance, &mut blows);
        rounds += 1;
        if began.elapsed().as_millis() / 500 > reloads {
            reloads += 1;
            let number = u32::try_from(reloads).unwrap();
            fs::write(&path, head.clone() + &storm(&mark, number)).unwrap();
            let answer = appliance.cli(&["reload"]);
            assert!(answer.status.success(), "{answer:?}");
        } else if rounds.is_multiple_of(16) {
            slowest = slowest.max(agrees(&appliance, &mark).await);
        }
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
    }
    slowest = slowest.max(agrees(&appliance, &mark).await);
    show(&format!("{blows} signals, {reloads} reloads, status right within {slowest:?}"));
    assert!(blows > 100 && reloads > 2, "{blows} signals, {reloads} reloads");
    let groups: Vec<_> = leaders(&appliance).into_values().flatten().map(|seen| seen.pid).collect();
    for seen in left(&mark) {
        assert!(groups.contains(&seen.group), "{seen:?} is left");
    }
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(left(&mark), Vec::<Seen>::new(), "{}", appliance.log());
}
