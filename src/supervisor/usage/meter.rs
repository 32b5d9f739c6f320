//! Measures the apps: reads `/proc` on a thread of its own, so that the supervisor does not wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::rate::{Rate, Reading};
use crate::config::AppName;
use crate::supervisor::process::procfs;
use crate::supervisor::process::reaper::Reaper;

/// How long a look may take. Reading from a process whose memory is locked can take any time.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What an app uses: its process group, its daemons and all their descendants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Memory in bytes. Memory that several processes share counts once.
    pub memory: u64,
    /// Percent of one processor, over the time since the look before. `None` in the first second.
    pub cpu_percent: Option<f64>,
    /// Processor time of all looks, for all processes that the app has had.
    pub cpu: Duration,
}

/// Measures all apps.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    reaper: Reaper,
    apps: Arc<Mutex<HashMap<AppName, Measured>>>,
}

#[derive(Debug)]
struct Measured {
    leader: i32,
    rate: Rate,
    /// Processor time of earlier processes.
    before: Duration,
}

impl Meter {
    pub(crate) fn new(reaper: Reaper) -> Self {
        Self { reaper, apps: Arc::default() }
    }

    /// The app that a child of the appliance belongs to.
    pub(crate) fn app_of(&self, child: i32) -> Option<AppName> {
        self.reaper.app_of(child)
    }

    /// The usage of the apps with these leaders. Apps are missing that have just ended; all are
    /// missing if the look takes too long.
    pub(crate) async fn look(&self, leaders: Vec<(AppName, i32)>) -> HashMap<AppName, Usage> {
        if leaders.is_empty() {
            return HashMap::new();
        }
        let looking = async {
            // The lock stays with a look that hangs: it does not get company.
            let mut apps = Arc::clone(&self.apps).lock_owned().await;
            let reaper = self.reaper.clone();
            let looking = tokio::task::spawn_blocking(move || look(&reaper, &leaders, &mut apps));
            looking.await.unwrap_or_default()
        };
        timeout(LONGEST_LOOK, looking).await.unwrap_or_default()
    }
}

/// The memory of the apps with these leaders, by leader.
pub(super) async fn memory(reaper: &Reaper, leaders: Vec<i32>) -> HashMap<i32, u64> {
    let reaper = reaper.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let families = reaper.glance();
        let of = |leader| {
            let found: Vec<u64> =
                families.of_leader(leader).iter().filter_map(|pid| procfs::memory(*pid)).collect();
            (!found.is_empty()).then(|| (leader, found.into_iter().sum()))
        };
        leaders.into_iter().filter_map(of).collect()
    });
    looking.await.unwrap_or_default()
}

fn look(
    reaper: &Reaper,
    leaders: &[(AppName, i32)],
    apps: &mut HashMap<AppName, Measured>,
) -> HashMap<AppName, Usage> {
    let families = reaper.glance();
    let mut found = HashMap::new();
    for (app, leader) in leaders {
        let family = families.of_leader(*leader);
        let seen: Vec<_> = family.iter().filter_map(|pid| procfs::see(*pid)).collect();
        let Some(first) = seen.iter().min_by_key(|process| process.started_ticks) else { continue };
        let started = ticks(first.started_ticks);
        let measured = apps.entry(app.clone()).or_insert_with(|| Measured {
            leader: *leader,
            rate: Rate::since(started),
            before: Duration::ZERO,
        });
        if measured.leader != *leader {
            measured.before += measured.rate.total;
            (measured.leader, measured.rate) = (*leader, Rate::since(started));
        }
        let cpu = ticks(seen.iter().map(|process| process.cpu_ticks).sum());
        let cpu_percent = measured.rate.look(Reading { at: since_boot(), cpu });
        let memory = family.iter().filter_map(|pid| procfs::memory(*pid)).sum();
        let cpu = measured.before + measured.rate.total;
        found.insert(app.clone(), Usage { memory, cpu_percent, cpu });
    }
    found
}

fn ticks(ticks: u64) -> Duration {
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / a_second)
}

fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::supervisor::sample_apps::{alone, shell_command};

    #[tokio::test]
    async fn an_app_is_measured_with_all_its_processes() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let meter = Meter::new(reaper.clone());
        let [busy, idle] = ["busy", "idle"].map(|name| AppName::new(name).unwrap());
        let spawn = |script: &str| reaper.spawn(&mut shell_command(script), None).unwrap();
        let hog = "python3 -c '\nx = bytearray(40 << 20)\nwhile 1: pass' & wait";
        let (hog, sleeper) = (spawn(hog), spawn("sleep 100"));
        let leaders =
            || vec![(busy.clone(), hog.pid.as_raw()), (idle.clone(), sleeper.pid.as_raw())];
        sleep(Duration::from_millis(1_500)).await;
        let seen = meter.look(leaders()).await;
        assert!(seen[&busy].memory > 40 << 20 && seen[&idle].memory < 10 << 20, "{seen:?}");
        let percent = |app| seen[app].cpu_percent.unwrap();
        assert!(percent(&busy) > 30.0 && percent(&idle) < 20.0, "{seen:?}");
        assert!(seen[&busy].cpu > Duration::from_millis(300), "{seen:?}");
        assert_eq!(meter.look(vec![(idle.clone(), i32::MAX)]).await, HashMap::new());
    }
}
