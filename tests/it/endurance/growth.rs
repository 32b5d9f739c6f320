//! Crashes and reloads leave no memory, no descriptor and no thread behind.

use std::fs;
use std::time::Duration;

use super::{rounds, show};
use crate::harness::processes::descendants;
use crate::harness::{Appliance, eventually};

/// Longer than a thread for blocking work stays without work.
const REST: Duration = Duration::from_secs(11);
/// How much the resident memory may grow, kB.
const GROWTH: u64 = 1024;
/// How often it may grow by more.
const STRETCHES: usize = 3;

/// Descriptors, threads and resident kilobytes of a process.
#[derive(Debug, Clone, Copy)]
struct Size {
    descriptors: usize,
    threads: usize,
    resident: u64,
}

impl Size {
    fn of(pid: i32) -> Self {
        let count = |folder: &str| fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            resident: line.split_whitespace().next().unwrap().parse().unwrap(),
        }
    }

    async fn at_rest(appliance: &Appliance) -> Self {
        tokio::time::sleep(REST).await;
        Self::of(appliance.pid())
    }

    /// Waits until the appliance has as many descriptors and threads again, and returns how much its memory
    /// has grown, kB.
    async fn growth(self, appliance: &Appliance, after: &str) -> u64 {
        let same = async || {
            let now = Self::of(appliance.pid());
            let is_same = (now.descriptors, now.threads) == (self.descriptors, self.threads);
            is_same.then_some(now)
        };
        let what = format!("{self:?} again after {after}: {:?}", Self::of(appliance.pid()));
        let now = eventually(&what, same).await;
        show(&format!("{after}: {self:?} before, {now:?} after"));
        now.resident.saturating_sub(self.resident)
    }
}

/// Does the same again and again until the memory has not grown. Memory that is lost is lost each time; how the
/// allocator divides its pages varies from time to time.
async fn leaves_nothing(appliance: &Appliance, what: &str, mut again: impl AsyncFnMut()) {
    let mut grown = Vec::new();
    while grown.len() < STRETCHES {
        let before = Size::at_rest(appliance).await;
        again().await;
        match before.growth(appliance, what).await {
            0..=GROWTH => return,
            more => grown.push(more),
        }
    }
    panic!("the memory grew each time after {what}, kB: {grown:?}");
}

fn restarts(appliance: &Appliance) -> u64 {
    let status = appliance.cli(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap_or_default();
    let apps = status["apps"].as_array().cloned().unwrap_or_default();
    apps.iter().filter_map(|app| app["restarts"].as_u64()).sum()
}

#[tokio::test]
async fn a_thousand_crashes_leave_nothing_behind() {
    // Long lines fill the ring of the log soon, which grows until then.
    let crash = "command = [\"sh\", \"-c\", \"printf '%03000d\\\\n' 1; exit 1\"]\nmax_restarts = 1000000\n\
                 backoff = { min = \"1ms\", max = \"1ms\" }\nautostart = false\n";
    let names = ["a", "b", "c", "d"];
    let config = names.map(|name| format!("[apps.{name}]\n{crash}")).concat();
    let mut appliance = Appliance::start(&config);
    appliance.wait_for_state("a", "stopped").await;
    let crash = async |number: u64| {
        let until = restarts(&appliance) + number;
        for name in names {
            let answer = appliance.cli(&["start", "--no-wait", name]);
            assert!(answer.status.success(), "{answer:?}");
        }
        eventually(&format!("{number} crashes"), async || {
            (restarts(&appliance) >= until).then_some(())
        })
        .await;
        for name in names {
            let answer = appliance.cli(&["stop", name]);
            assert!(answer.status.success(), "{answer:?}");
        }
        assert_eq!(descendants(appliance.pid()), Vec::<i32>::new());
    };
    for _ in 0..6 {
        crash(100).await;
    }
    let times = rounds(10, 50);
    leaves_nothing(&appliance, &format!("{} crashes", times * 100), async || {
        for _ in 0..times {
            crash(100).await;
        }
    })
    .await;
    assert_eq!(appliance.stop().await, 0);
}

/// A configuration in which an app has changed, a second one comes and goes, and the title of a third
/// one changes, which no process notices.
fn reloaded(number: u32) -> String {
    let sleep = "command = [\"sleep\", \"1000\"]";
    let sometimes = if number.is_multiple_of(3) {
        format!("[apps.sometimes]\n{sleep}\n")
    } else {
        String::new()
    };
    format!(
        "[apps.kept]\n{sleep}\n[apps.changed]\n{sleep}\nenv = {{ N = \"{number}\" }}\n{sometimes}\
         [apps.shown]\npath = \"/shown\"\naccess = \"public\"\ntitle = \"Title {number}\"\nupstream = \"http://127.0.0.1:9\"\n"
    )
}

#[tokio::test]
async fn many_reloads_leave_nothing_behind() {
    let mut appliance = Appliance::start(&reloaded(1));
    appliance.wait_for_state("changed", "ready").await;
    let kept = appliance.app("kept").unwrap()["pid"].clone();
    let path = appliance.path("appliance.toml");
    let head = fs::read_to_string(&path).unwrap().split_once("[apps").unwrap().0.to_owned();
    let reload = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            fs::write(&path, head.clone() + &reloaded(number)).unwrap();
            let answer = appliance.cli(&["reload"]);
            assert!(answer.status.success(), "{answer:?}");
        }
    };
    // The first ones fill the ring of the log; in the usual run it grows on, within the limit.
    // A multiple of three, so that the same apps run before and after.
    let (first, more) = (rounds(60, 400), rounds(120, 1002));
    reload(2..first + 2);
    appliance.wait_for_state("changed", "ready").await;
    let mut next = first + 2;
    leaves_nothing(&appliance, &format!("{more} reloads"), async || {
        reload(next..next + more);
        next += more;
    })
    .await;
    appliance.wait_for_state("changed", "ready").await;
    let there = 2 + usize::from((next - 1).is_multiple_of(3));
    assert_eq!(descendants(appliance.pid()).len(), there);
    assert_eq!(appliance.app("kept").unwrap()["pid"], kept);
    assert_eq!(appliance.stop().await, 0);
}
