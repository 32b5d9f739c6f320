//! Watches the memory of the apps that have a limit. Without such an app, nothing wakes up.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::excess::Excessive;
use super::gauge::Gauge;
use super::meter::memory;
use crate::supervisor::process::reaper::Reaper;

const INTERVAL: Duration = Duration::from_secs(1);

/// A running process with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    /// Number of the app.
    pub(crate) id: u64,
    /// Number of its incarnation.
    pub(crate) generation: u64,
    pub(crate) leader: i32,
    pub(crate) limit: u64,
}

/// Looks every second while there is anything to look at, and calls `report` with what an app uses
/// that has used too much for long enough. Ends with the sender of the list.
pub(crate) async fn guard(
    reaper: Reaper,
    mut limited: watch::Receiver<Vec<Limited>>,
    report: impl Fn(Limited, u64),
) {
    let gauge = Gauge::default();
    let mut known: HashMap<(u64, u64), Excessive> = HashMap::new();
    let mut seconds = interval(INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Ok(list) = limited.wait_for(|list| !list.is_empty()).await.map(|list| list.clone())
        else {
            return;
        };
        seconds.tick().await;
        let began = Instant::now();
        let used = memory(&reaper, &gauge, list.iter().map(|one| one.leader)).await;
        let now = Instant::now();
        known.retain(|key, _| list.iter().any(|one| (one.id, one.generation) == *key));
        for one in list {
            let used = used.get(&one.leader).copied();
            let excessive = known.entry((one.id, one.generation)).or_default();
            if excessive.look(used, one.limit, began, now)
                && let Some(used) = used
            {
                report(one, used);
            }
        }
    }
}
