//! How an address of an app does. The proxy learns it from connections, and the supervisor from probes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an address is left out after its first failure. The pause doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the request that tries an address may take until another one tries it.
const TRIAL: Duration = Duration::from_secs(5);

/// How an address does. All clones share it: those of the route and of the probes, and over reloads those
/// of all configurations that have the address.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Nothing has failed since the last success, so that the mutex need not be looked at.
    is_out: AtomicBool,
    outage: Mutex<Outage>,
    /// The last probe had no success.
    is_unanswered: AtomicBool,
    in_flight: AtomicUsize,
}

/// A series of failed connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Outage {
    /// The length of the pause; zero while the address works.
    pause: Duration,
    /// The end of the pause, or of the trial.
    until: Option<Instant>,
    /// A request tries the address.
    is_tried: bool,
}

impl Outage {
    /// Whether requests may go to the address.
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// A connection fails. Those that were begun before the first failure of a pause do not lengthen it.
    fn fail(&mut self, now: Instant) {
        if self.is_tried || self.is_over(now) {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.until = Some(now + self.pause);
            self.is_tried = false;
        }
    }

    /// Whether a request may go to the address. After a pause, that is one request at a time.
    fn begin(&mut self, now: Instant) -> bool {
        let may = self.is_over(now);
        if may && self.until.is_some() {
            self.until = Some(now + TRIAL);
            self.is_tried = true;
        }
        may
    }
}

impl Standing {
    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.0.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the address works, or its pause is over.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        !self.0.is_unanswered.load(Ordering::Relaxed)
            && (!self.0.is_out.load(Ordering::Relaxed) || self.outage().is_over(now))
    }

    /// Whether a request may go to the address: if it has failed, one request at a time tries it.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        !self.0.is_out.load(Ordering::Relaxed) || self.outage().begin(now)
    }

    /// A connection has failed. Whether the address worked before.
    pub(crate) fn fail(&self, now: Instant) -> bool {
        let mut outage = self.outage();
        outage.fail(now);
        !self.0.is_out.swap(true, Ordering::Relaxed)
    }

    /// The address works. Whether it was left out before.
    pub(crate) fn work(&self) -> bool {
        if !self.0.is_out.load(Ordering::Relaxed) {
            return false;
        }
        let mut outage = self.outage();
        *outage = Outage::default();
        self.0.is_out.swap(false, Ordering::Relaxed)
    }

    /// A probe has asked the address. A success ends an outage as well.
    pub(crate) fn answer(&self, success: bool) {
        self.0.is_unanswered.store(!success, Ordering::Relaxed);
        if success {
            self.work();
        }
    }

    /// The number of requests that have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// A request goes to the address. It ends when the result is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

/// A request that has not ended.
#[derive(Debug)]
pub(crate) struct InFlight(Standing);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PartialEq for Standing {
    /// How an address does is no property of the address.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Standing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_each_failure_and_ends_with_a_success() {
        let standing = Standing::default();
        let mut now = Instant::now();
        assert!(standing.is_open(now) && standing.begin(now) && !standing.work());
        for (round, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert_eq!(standing.fail(now), round == 0, "the first failure is news");
            // Others were on their way.
            standing.fail(now);
            let almost = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert!(!standing.is_open(almost) && !standing.begin(almost), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(standing.is_open(now), "{seconds}");
            assert!(standing.begin(now), "one tries it");
            assert!(!standing.begin(now) && !standing.is_open(now), "and only one");
        }
        assert!(standing.work() && !standing.work());
        assert!(standing.begin(now) && standing.begin(now));
        standing.fail(now);
        assert!(standing.is_open(now + FIRST_PAUSE), "the next outage begins with a short pause");
    }

    #[test]
    fn a_trial_without_an_end_is_followed_by_another_one() {
        let (standing, now) = (Standing::default(), Instant::now());
        standing.fail(now);
        assert!(standing.begin(now + FIRST_PAUSE));
        assert!(!standing.begin(now + TRIAL));
        assert!(standing.begin(now + FIRST_PAUSE + TRIAL));
    }

    #[test]
    fn an_address_that_does_not_answer_its_probe_is_left_out() {
        let (standing, now) = (Standing::default(), Instant::now());
        standing.answer(false);
        assert!(!standing.is_open(now));
        standing.fail(now);
        standing.answer(true);
        assert!(standing.is_open(now) && standing.begin(now) && standing.begin(now));
    }

    #[test]
    fn requests_in_flight_are_counted() {
        let standing = Standing::default();
        let requests = [standing.enter(), standing.clone().enter()];
        assert_eq!(standing.in_flight(), 2);
        drop(requests);
        assert_eq!(standing.in_flight(), 0);
    }
}
