//! How often the same event is logged: an app that causes it without end does not displace other lines.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line in this time for each cause.
const PAUSE: Duration = Duration::from_mins(1);
/// Causes that are remembered.
const MOST: usize = 1000;

/// The events of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<String, Seen>>);

#[derive(Debug)]
struct Seen {
    logged: Instant,
    left_out: u64,
}

impl Throttle {
    /// Whether an event with this cause is logged: with the number of those before it that were not.
    pub(crate) fn note(&self, cause: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(cause) {
            if now.duration_since(known.logged) < PAUSE {
                known.left_out += 1;
                return None;
            }
            known.logged = now;
            return Some(std::mem::take(&mut known.left_out));
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(cause.to_owned(), Seen { logged: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_one_line_a_minute_which_counts_the_others() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.note("a", at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(throttle.note("a", at(second)), None);
        }
        assert_eq!(throttle.note("b", at(59)), Some(0));
        assert_eq!(throttle.note("a", at(60)), Some(59));
        assert_eq!(throttle.note("a", at(61)), None);
        assert_eq!(throttle.note("a", at(120)), Some(1));
    }
}
