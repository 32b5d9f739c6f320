//! What the proxy tells the supervisor about the use of one app, with all its processes. Both only
//! read and write a few numbers, and neither waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Busy, Sleeper};

/// Rings when a request needs an app that is stopped. One for all apps.
pub(crate) type Bell = Arc<Notify>;

/// The use of one app. All its processes share one.
#[derive(Debug)]
pub(crate) struct Nap {
    /// The app has an `idle_stop`.
    may_sleep: AtomicBool,
    origin: Instant,
    /// Microseconds from `origin` to the last use.
    last: AtomicU64,
    /// The app starts because of a request or of its `keep_warm`.
    waking: AtomicBool,
    /// A request needs the app.
    wanted: AtomicBool,
    /// Some processes of the app are up while others sleep.
    partly_asleep: AtomicBool,
    bell: Bell,
    busy: Mutex<Option<Arc<dyn Busy>>>,
}

impl Nap {
    pub(crate) fn new(bell: &Bell, may_sleep: bool) -> Self {
        Self {
            may_sleep: AtomicBool::new(may_sleep),
            origin: Instant::now(),
            last: AtomicU64::default(),
            waking: AtomicBool::default(),
            wanted: AtomicBool::default(),
            partly_asleep: AtomicBool::default(),
            bell: Arc::clone(bell),
            busy: Mutex::default(),
        }
    }

    /// Takes over whether the app has an `idle_stop`. What was not used before counts from now on.
    pub(crate) fn set_may_sleep(&self, may_sleep: bool) {
        if !self.may_sleep.swap(may_sleep, Ordering::Relaxed) && may_sleep {
            self.note_use(Instant::now());
        }
    }

    /// The app counts as used at this moment.
    pub(crate) fn note_use(&self, at: Instant) {
        let since = at.saturating_duration_since(self.origin).as_micros();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The last use.
    pub(crate) fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// Whether a request waits for the app. What has ended before is part of [`Self::last`]
    /// afterwards.
    pub(crate) fn is_busy(&self) -> bool {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let is_busy = busy.as_ref().is_some_and(|busy| busy.is_busy());
        fence(Ordering::Acquire);
        is_busy
    }

    /// Whether a request needs the app; it is told once.
    pub(crate) fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn set_waking(&self, waking: bool) {
        self.waking.store(waking, Ordering::Relaxed);
    }

    pub(crate) fn set_partly_asleep(&self, partly: bool) {
        self.partly_asleep.store(partly, Ordering::Relaxed);
    }
}

impl Sleeper for Nap {
    fn may_sleep(&self) -> bool {
        self.may_sleep.load(Ordering::Relaxed)
    }

    /// Who uses an app of which some processes are up needs the others as well.
    fn used(&self, at: Instant) {
        self.note_use(at);
        if self.partly_asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Any number of requests ring the bell once.
    fn wake(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel) {
            self.bell.notify_one();
        }
    }

    fn is_waking(&self) -> bool {
        self.waking.load(Ordering::Relaxed)
    }

    fn ask_before_sleep(&self, busy: Arc<dyn Busy>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(busy);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn many_requests_ring_once() {
        let bell = Bell::default();
        let nap = Nap::new(&bell, true);
        assert!(!nap.take_wanted() && bell.notified().now_or_never().is_none());
        for _ in 0..1000 {
            nap.wake();
        }
        bell.notified().await;
        assert!(bell.notified().now_or_never().is_none());
        assert!(nap.take_wanted() && !nap.take_wanted());
        nap.wake();
        assert!(bell.notified().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_gets_an_idle_stop_counts_as_used() {
        let nap = Nap::new(&Bell::default(), false);
        let zero = Instant::now();
        let pause = Duration::from_secs(9);
        tokio::time::advance(pause).await;
        nap.set_may_sleep(true);
        assert_eq!(nap.last(), zero + pause);
        tokio::time::advance(pause).await;
        nap.set_may_sleep(true);
        assert_eq!(nap.last(), zero + pause);
        nap.used(Instant::now());
        assert_eq!(nap.last(), zero + 2 * pause);
    }

    #[test]
    fn the_use_of_an_app_wakes_its_sleeping_processes() {
        let bell = Bell::default();
        let nap = Nap::new(&bell, true);
        nap.used(Instant::now());
        assert!(!nap.take_wanted());
        nap.set_partly_asleep(true);
        nap.note_use(Instant::now());
        assert!(!nap.take_wanted());
        nap.used(Instant::now());
        assert!(nap.take_wanted() && bell.notified().now_or_never().is_some());
        nap.set_partly_asleep(false);
        nap.used(Instant::now());
        assert!(!nap.take_wanted());
    }

    #[derive(Debug)]
    struct Always;

    impl Busy for Always {
        fn is_busy(&self) -> bool {
            true
        }
    }

    #[test]
    fn the_proxy_says_whether_requests_wait() {
        let nap = Nap::new(&Bell::default(), true);
        assert!(!nap.is_busy());
        nap.ask_before_sleep(Arc::new(Always));
        assert!(nap.is_busy());
    }
}
