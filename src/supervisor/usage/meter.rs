//! Measures the apps: their memory and their processor time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::gauge::Gauge;
use super::rate::{Rate, Reading};
use crate::config::AppName;
use crate::supervisor::process::procfs;
use crate::supervisor::process::reaper::Reaper;

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
    gauge: Gauge,
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
        Self { reaper, gauge: Gauge::default(), apps: Arc::default() }
    }

    /// The app that a child of the appliance belongs to.
    pub(crate) fn app_of(&self, child: i32) -> Option<AppName> {
        self.reaper.app_of(child)
    }

    /// The usage of the apps with these leaders. Apps are missing that have just ended.
    pub(crate) async fn look(&self, leaders: Vec<(AppName, i32)>) -> HashMap<AppName, Usage> {
        if leaders.is_empty() {
            return HashMap::new();
        }
        let families = families(&self.reaper, leaders.iter().map(|(_, leader)| *leader)).await;
        let memory = self.gauge.look(families.clone()).await;
        let families: HashMap<_, _> = families.into_iter().collect();
        let apps = self.apps.clone();
        let looking = self.reaper.aside(move || {
            let mut apps = apps.lock().unwrap_or_else(PoisonError::into_inner);
            let usage = leaders.into_iter().filter_map(|(app, leader)| {
                let memory = *memory.get(&leader)?;
                let usage = look(&app, leader, families.get(&leader)?, memory, &mut apps)?;
                Some((app, usage))
            });
            usage.collect()
        });
        looking.await
    }
}

/// The memory of the apps with these leaders, by leader.
pub(super) async fn memory(
    reaper: &Reaper,
    gauge: &Gauge,
    leaders: impl Iterator<Item = i32>,
) -> HashMap<i32, u64> {
    gauge.look(families(reaper, leaders).await).await
}

/// The processes of each leader.
async fn families(reaper: &Reaper, leaders: impl Iterator<Item = i32>) -> Vec<(i32, Vec<i32>)> {
    let (looking, leaders) = (reaper.clone(), leaders.collect::<Vec<_>>());
    let found = reaper.aside(move || {
        let families = looking.glance();
        let of = |leader| (leader, families.of_leader(leader).to_vec());
        leaders.into_iter().map(of).collect()
    });
    found.await
}

/// Reads numbers that the kernel has at hand.
fn look(
    app: &AppName,
    leader: i32,
    family: &[i32],
    memory: u64,
    apps: &mut HashMap<AppName, Measured>,
) -> Option<Usage> {
    let seen: Vec<_> = family.iter().filter_map(|pid| procfs::see(*pid)).collect();
    let first = seen.iter().min_by_key(|process| process.started_ticks)?;
    let started = ticks(first.started_ticks);
    let measured = apps.entry(app.clone()).or_insert_with(|| Measured {
        leader,
        rate: Rate::since(started),
        before: Duration::ZERO,
    });
    if measured.leader != leader {
        measured.before += measured.rate.total;
        (measured.leader, measured.rate) = (leader, Rate::since(started));
    }
    let cpu = ticks(seen.iter().map(|process| process.cpu_ticks).sum());
    let cpu_percent = measured.rate.look(Reading { at: since_boot(), cpu });
    let cpu = measured.before + measured.rate.total;
    Some(Usage { memory, cpu_percent, cpu })
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
    use crate::one_process::alone;
    use crate::supervisor::sample_apps::shell_command;

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
        assert!(percent(&busy) > 5.0 && percent(&idle) < 4.0, "{seen:?}");
        assert!(seen[&busy].cpu > Duration::from_millis(100), "{seen:?}");
        assert_eq!(meter.look(vec![(idle.clone(), i32::MAX)]).await, HashMap::new());
    }
}
