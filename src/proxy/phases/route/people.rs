//! How many people use an app: distinct people in the last five minutes. Numbers only: names are not
//! kept.
//!
//! A request costs one look into a set of its own thread. The shared table is locked once in
//! [`ROUND`] for a session on a thread, and when the numbers are read.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::Session;

/// How long after their last request people count.
const ACTIVE: Duration = Duration::from_mins(5);
/// How long a thread does not note the same session again. The numbers are as exact as that.
const ROUND: Duration = Duration::from_secs(5);
/// From this number of entries on, those of people who have left are removed while others are added.
const MANY: usize = 1024;

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The people of one app.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// By a hash of the subject: when the person was last seen.
    seen: Mutex<HashMap<u64, Instant>>,
    keys: RandomState,
}

/// What this thread has noted in a round: addresses of tables and sessions.
#[derive(Default)]
struct Noted {
    round: u64,
    pairs: HashSet<(usize, usize)>,
}

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

impl People {
    /// The person of a session uses the app.
    pub(crate) fn note(&self, session: &Session, now: Instant) {
        if self.is_new_in_round(std::ptr::from_ref(session).addr(), now) {
            self.insert(session.subject(), now);
        }
    }

    fn is_new_in_round(&self, session: usize, now: Instant) -> bool {
        let round = now.saturating_duration_since(*BASE).as_secs() / ROUND.as_secs();
        NOTED.with_borrow_mut(|noted| {
            if noted.round != round {
                noted.round = round;
                noted.pairs.clear();
            }
            noted.pairs.insert((std::ptr::from_ref(self).addr(), session))
        })
    }

    fn insert(&self, subject: &str, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MANY && seen.len() == seen.capacity() {
            seen.retain(|_, last| now.saturating_duration_since(*last) < ACTIVE);
        }
        seen.insert(self.keys.hash_one(subject), now);
    }

    /// The number of people of the last five minutes.
    pub(crate) fn count(&self, now: Instant) -> usize {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, last| now.saturating_duration_since(*last) < ACTIVE);
        seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_people_of_the_last_five_minutes_are_counted() {
        let (people, start) = (People::default(), *BASE);
        let at = |second| start + Duration::from_secs(second);
        for (second, subject, count) in [
            (0, "alice", 1),
            (1, "bob", 2),
            // Another session of the same person.
            (2, "alice", 2),
            (299, "carol", 3),
            // Bob has left; Alice was seen a second later.
            (301, "carol", 2),
            (302, "carol", 1),
        ] {
            people.insert(subject, at(second));
            assert_eq!(people.count(at(second)), count, "{subject} at {second}");
        }
        assert_eq!(people.count(at(1000)), 0);
    }

    #[test]
    fn a_thread_notes_a_session_once_in_a_round() {
        let (one, two, start) = (People::default(), People::default(), *BASE);
        for (second, people, session, is_new) in [
            (10, &one, 1, true),
            (11, &one, 1, false),
            (11, &one, 2, true),
            (11, &two, 1, true),
            (14, &two, 1, false),
            (15, &two, 1, true),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(people.is_new_in_round(session, now), is_new, "{session} at {second}");
        }
    }

    #[test]
    fn a_table_that_nobody_reads_does_not_grow_for_ever() {
        let (people, start) = (People::default(), *BASE);
        for number in 0..20_000_u64 {
            people.insert(&number.to_string(), start + Duration::from_secs(number));
        }
        assert!(people.seen.lock().unwrap().capacity() < 4 * MANY);
    }
}
