//! How often refused requests are logged: an app that asks without end does not fill the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line in this time for each asker.
const PAUSE: Duration = Duration::from_mins(1);
/// Askers that are remembered.
const MOST: usize = 1000;

/// The refusals of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<String, Refused>>);

#[derive(Debug)]
struct Refused {
    logged: Instant,
    left_out: u64,
}

impl Refusals {
    /// Whether a refusal of this asker is logged: with the number of those before it that were not.
    pub(super) fn note(&self, asker: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(asker) {
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
        all.insert(asker.to_owned(), Refused { logged: now, left_out: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asker_has_one_line_a_minute_which_counts_the_others() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(refusals.note("a", at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(refusals.note("a", at(second)), None);
        }
        assert_eq!(refusals.note("b", at(59)), Some(0));
        assert_eq!(refusals.note("a", at(60)), Some(59));
        assert_eq!(refusals.note("a", at(61)), None);
        assert_eq!(refusals.note("a", at(120)), Some(1));
    }
}
