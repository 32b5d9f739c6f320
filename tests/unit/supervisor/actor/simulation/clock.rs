//! A wall clock that goes with the clock of the runtime, and can be set.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::supervisor::wall_clock::WallClock;

/// What the clock shows at first.
const BEGIN: &str = "2026-03-28T23:00:00Z";

/// A wall clock. Clones show the same.
#[derive(Debug, Clone)]
pub(super) struct SimulatedClock {
    begin: Instant,
    /// What it is set for when the clock of the runtime shows `begin`.
    shown: Arc<Mutex<Timestamp>>,
    was_set: Arc<Notify>,
    was_set_back: Arc<AtomicBool>,
}

impl SimulatedClock {
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            shown: Arc::new(Mutex::new(BEGIN.parse().unwrap())),
            was_set: Arc::default(),
            was_set_back: Arc::default(),
        }
    }

    /// Somebody sets the clock forward or back.
    pub(super) fn set(&self, by: SignedDuration) {
        *self.shown.lock().unwrap() += by;
        self.was_set_back.fetch_or(by.is_negative(), Ordering::Relaxed);
        self.was_set.notify_one();
    }

    /// Whether somebody has set the clock back: times of day that have come do not come again for a while.
    pub(super) fn was_set_back(&self) -> bool {
        self.was_set_back.load(Ordering::Relaxed)
    }
}

impl WallClock for SimulatedClock {
    fn now(&self) -> Timestamp {
        *self.shown.lock().unwrap() + self.begin.elapsed()
    }

    fn wait(&mut self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let left = Duration::try_from(until.duration_since(self.now())).unwrap_or_default();
            tokio::select! {
                () = self.was_set.notified() => {}
                () = sleep(left) => {}
            }
        })
    }
}
