//! A stop ends within its budget, whatever the apps do, and leaves no process.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{rounds, show};
use crate::harness::{Appliance, eventually};

const BUDGET: Duration = Duration::from_millis(500);
/// The machine may be busy with other tests; `cargo bench --bench supervision` measures the time.
const BUSY: Duration = Duration::from_secs(8);
const LANES: u32 = 4;

/// Apps that end at once, late, and not at all; with children that ignore signals as well, in the
/// group of the app and outside of it. `{STAY}` is in the command line of each.
const APPS: &str = r#"
[apps.prompt]
command = ["sleep", "{STAY}"]
[apps.late]
command = ["sh", "-c", "trap 'sleep 0.1; exit 0' TERM; sleep {STAY} & wait"]
[apps.deaf]
command = ["sh", "-c", "trap '' TERM; sleep {STAY} & setsid sleep {STAY} & echo deaf; wait; wait"]
stop_timeout = "1m"
[apps.hangs]
command = ["sh", "-c", "kill -STOP $$; exec sleep {STAY}"]
stop_timeout = "1m"
after = ["deaf"]
[apps.loud]
command = ["yes", "{STAY}"]
log = false
"#;

/// Processes whose command line has this word.
fn of(word: &str) -> Vec<i32> {
    let has = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| has(*pid)).collect()
}

/// Starts and stops it once; how long the stop took.
async fn stop_once(lane: u32, round: u32) -> Duration {
    // No other process of the machine has such an argument.
    let stay = format!("{}.{:05}{round:05}", 1_000_000 + lane, std::process::id() % 100_000);
    let head = format!("shutdown_timeout = \"{}ms\"\n", BUDGET.as_millis());
    let mut appliance = Appliance::start(&(head + &APPS.replace("{STAY}", &stay)));
    eventually("the apps to run", async || appliance.log().contains("| deaf\n").then_some(()))
        .await;
    // At another moment of the start each time.
    tokio::time::sleep(Duration::from_millis(u64::from(round % 20) * 5)).await;
    let asked = Instant::now();
    appliance.signal(Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0, "{}", appliance.log());
    let took = asked.elapsed();
    assert!(took < BUDGET + BUSY, "{took:?}\n{}", appliance.log());
    let gone = async || of(&stay).is_empty().then_some(());
    eventually(&format!("no process to be left\n{}", appliance.log()), gone).await;
    took
}

#[tokio::test]
async fn a_stop_ends_within_its_budget_whatever_the_apps_do() {
    let rounds = rounds(5, 1000 / LANES);
    let lanes = (0..LANES).map(async |lane| {
        let mut longest = Duration::ZERO;
        for round in 0..rounds {
            longest = longest.max(stop_once(lane, round).await);
        }
        longest
    });
    let longest = futures_util::future::join_all(lanes).await.into_iter().max().unwrap();
    show(&format!("{} stops within {BUDGET:?}: the longest took {longest:?}", rounds * LANES));
}
