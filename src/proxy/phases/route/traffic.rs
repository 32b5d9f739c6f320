//! Counts the requests and tunnels of one app.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::people::People;
use crate::config::Busy;

/// Upper ends of the buckets of durations in seconds; one more bucket has all longer ones.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The status codes that are counted one by one. An app can send others; they are counted as one.
const CODES: std::ops::Range<u16> = 100..600;

/// Counters of one app. They outlive the configuration.
#[derive(Debug)]
pub(crate) struct Traffic {
    codes: [AtomicU64; CODES.end as usize - CODES.start as usize],
    other_codes: AtomicU64,
    in_flight: AtomicI64,
    tunnels: AtomicI64,
    /// Requests in flight whose response has begun and lasts; counted for apps with an `idle_stop`.
    lasting: AtomicI64,
    durations: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
    /// The people who use the app.
    pub(crate) people: People,
}

/// The counters of one app at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficFigures {
    /// Requests by status code, only those that have occurred; 0 stands for all unusual codes. 499: the
    /// client left before the end of the response.
    pub codes: Vec<(u16, u64)>,
    /// Requests whose response has not ended.
    pub in_flight: i64,
    /// Open WebSockets.
    pub tunnels: i64,
    /// Upper end in seconds, and the number of requests in this bucket alone.
    pub durations: Vec<(f64, u64)>,
    /// Sum of all durations in seconds.
    pub seconds: f64,
    /// Distinct people in the last five minutes.
    pub people: usize,
}

impl Default for Traffic {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            codes: std::array::from_fn(zero),
            other_codes: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            tunnels: AtomicI64::new(0),
            lasting: AtomicI64::new(0),
            durations: std::array::from_fn(zero),
            nanoseconds: AtomicU64::new(0),
            people: People::default(),
        }
    }
}

impl Traffic {
    /// A request begins.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request becomes a tunnel.
    pub(crate) fn begin_tunnel(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.tunnels.fetch_add(1, Ordering::Relaxed);
    }

    /// The response of a request in flight has begun, and lasts.
    pub(crate) fn begin_lasting(&self) {
        self.lasting.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a request is about to end.
    pub(crate) fn end_lasting(&self) {
        self.lasting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request ends.
    pub(crate) fn end(&self, status: u16, duration: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.count(status, duration);
    }

    /// A tunnel ends. How long it was open says nothing about the speed of the app.
    pub(crate) fn end_tunnel(&self, status: u16) {
        self.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.count_code(status);
    }

    /// Counts a request that was not counted at its beginning.
    pub(crate) fn count(&self, status: u16, duration: Duration) {
        self.count_code(status);
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len());
        self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn count_code(&self, status: u16) {
        let at = status.checked_sub(CODES.start).map(usize::from);
        let counter = at.and_then(|at| self.codes.get(at)).unwrap_or(&self.other_codes);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters at this moment.
    pub(crate) fn figures(&self) -> TrafficFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let codes = CODES.zip(&self.codes).map(|(code, counter)| (code, read(counter)));
        let codes = codes.chain([(0, read(&self.other_codes))]);
        let ends = BUCKETS.into_iter().chain([f64::INFINITY]);
        TrafficFigures {
            codes: codes.filter(|(_, number)| *number > 0).collect(),
            // The counters are not read in one moment.
            in_flight: self.in_flight.load(Ordering::Relaxed).max(0),
            tunnels: self.tunnels.load(Ordering::Relaxed).max(0),
            durations: ends.zip(&self.durations).map(|(end, count)| (end, read(count))).collect(),
            people: self.people.count(Instant::now()),
            seconds: Duration::from_nanos(read(&self.nanoseconds)).as_secs_f64(),
        }
    }
}

impl Busy for Traffic {
    fn is_busy(&self) -> bool {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        in_flight > self.lasting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_wait_for_their_app_make_it_busy() {
        let traffic = Traffic::default();
        assert!(!traffic.is_busy());
        traffic.begin();
        assert!(traffic.is_busy());
        traffic.begin_lasting();
        assert!(!traffic.is_busy());
        traffic.begin();
        assert!(traffic.is_busy());
        traffic.begin_tunnel();
        assert!(!traffic.is_busy());
        traffic.end_lasting();
        traffic.end(200, Duration::ZERO);
        assert!(!traffic.is_busy());
    }

    #[test]
    fn requests_and_tunnels_are_counted() {
        let traffic = Traffic::default();
        let ms = Duration::from_millis;
        for _ in 0..4 {
            traffic.begin();
        }
        traffic.end(200, ms(5));
        traffic.end(499, ms(6));
        traffic.begin_tunnel();
        let figures = traffic.figures();
        assert_eq!((figures.in_flight, figures.tunnels), (1, 1));
        traffic.end_tunnel(101);
        for code in [99, 600, 999] {
            traffic.count(code, ms(20_000));
        }
        let figures = traffic.figures();
        assert_eq!((figures.in_flight, figures.tunnels), (1, 0));
        assert_eq!(figures.codes, [(101, 1), (200, 1), (499, 1), (0, 3)]);
        let filled: Vec<_> = figures.durations.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [&(0.005, 1), &(0.01, 1), &(f64::INFINITY, 3)]);
        assert!((figures.seconds - 60.011).abs() < 1e-9, "{}", figures.seconds);
    }
}
