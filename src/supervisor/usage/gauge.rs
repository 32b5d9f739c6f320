//! The memory of each app by itself: an app whose memory takes long to read delays no other.
//!
//! The exact figure walks through the mappings of a process, under a lock that the process can keep
//! busy. After a limit, the figure that the kernel has at hand takes its place, so that no app escapes
//! its `max_memory` by being slow to read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::supervisor::process::procfs;
use crate::threads::Turn;

/// How long the exact figure of one app may take.
const LONGEST: Duration = Duration::from_secs(1);

/// Reads the memory of apps.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge {
    /// One turn for each leader: a look that hangs gets no company.
    looks: Arc<Mutex<HashMap<i32, Turn>>>,
}

impl Gauge {
    /// The memory of the apps with these leaders and processes, by leader. Apps without a process are
    /// missing.
    pub(super) async fn look(&self, families: Vec<(i32, Vec<i32>)>) -> HashMap<i32, u64> {
        self.look_with(families, exact, procfs::rough_memory).await
    }

    async fn look_with(
        &self,
        families: Vec<(i32, Vec<i32>)>,
        exact: fn(&[i32]) -> Option<u64>,
        rough: fn(&[i32]) -> Option<u64>,
    ) -> HashMap<i32, u64> {
        self.forget_all_but(&families);
        let looks = families.into_iter().map(|(leader, pids)| async move {
            let turn = self.turn_of(leader);
            let read = pids.clone();
            let exactly = turn.blocking(move || exact(&read));
            let found = timeout(LONGEST, exactly).await.unwrap_or_else(|_| rough(&pids));
            found.map(|found| (leader, found))
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    fn turn_of(&self, leader: i32) -> Turn {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.entry(leader).or_default().clone()
    }

    /// Forgets the apps that have ended, unless a look at one hangs.
    fn forget_all_but(&self, families: &[(i32, Vec<i32>)]) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_asked = |leader: &i32| families.iter().any(|(other, _)| other == leader);
        looks.retain(|leader, turn| is_asked(leader) || turn.is_shared());
    }
}

fn exact(pids: &[i32]) -> Option<u64> {
    let found: Vec<u64> = pids.iter().filter_map(|pid| procfs::memory(*pid)).collect();
    (!found.is_empty()).then(|| found.into_iter().sum())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SLOW: i32 = 7;
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    /// A figure that does not come for one app while the test runs.
    fn slow_for_one(pids: &[i32]) -> Option<u64> {
        while pids == [SLOW] && !IS_OVER.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        (pids != [9]).then_some(1)
    }

    #[tokio::test]
    async fn an_app_that_is_slow_to_read_delays_no_other_and_gets_a_rough_figure() {
        let gauge = Gauge::default();
        let families = || vec![(SLOW, vec![SLOW]), (8, vec![8, 80]), (9, vec![9])];
        // Also while the first look at it hangs.
        for _ in 0..2 {
            let seen = gauge.look_with(families(), slow_for_one, |_| Some(5)).await;
            assert_eq!(seen, HashMap::from([(SLOW, 5), (8, 1)]));
        }
        let seen = gauge.look_with(vec![(8, vec![8])], slow_for_one, |_| Some(5)).await;
        assert_eq!(seen, HashMap::from([(8, 1)]));
        IS_OVER.store(true, Ordering::Relaxed);
        assert_eq!(gauge.looks.lock().unwrap().len(), 2, "the look that hangs and the last one");
    }
}
