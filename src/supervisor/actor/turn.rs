//! Whose turn it is to start, when only some apps may be in `starting` at the same time.
//!
//! Pure. An app takes a place from its spawn until it is ready, has failed or has ended.

use std::cmp::Reverse;

use tokio::time::Instant;

/// An app that could start now if it has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its index in the list of apps.
    pub(super) app: usize,
    pub(super) claim: Claim,
    pub(super) urgency: Urgency,
    /// Number of places that processes of the same app take.
    pub(super) beside: usize,
}

/// Why the app starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// An operator has asked for it, or it takes no place: it starts at once.
    AtOnce,
    /// The first start, or the start with a changed configuration.
    First,
    /// A restart whose back-off pause ended then.
    Restart(Instant),
}

/// What the next start of an app waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// For all its dependencies, and for a place.
    InOrder,
    /// For dependencies that are not down, and for a place.
    InTurn,
    /// For dependencies that are not down: an operator has asked for it.
    AtOnce,
}

/// What waits for an app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    /// The app is the issuer, or the issuer waits for it.
    pub(super) for_issuer: bool,
    /// Number of apps that wait for this app, directly or not.
    pub(super) dependents: usize,
}

/// The app that starts next. The issuer and the apps that it needs come first, then first starts
/// in the order of what waits for them, then restarts. A first start happens once, and restarts
/// follow each other in the order in which their pauses ended: no app is passed over for ever by
/// apps that crash again and again.
pub(super) fn next(candidates: &[Candidate], starting: usize, limit: usize) -> Option<usize> {
    let at_once = candidates.iter().find(|one| one.claim == Claim::AtOnce);
    let fitting = candidates.iter().filter(|one| fits(one.urgency, one.beside, starting, limit));
    let queued = || fitting.min_by_key(|one| rank(one));
    at_once.or_else(queued).map(|one| one.app)
}

/// Whether a place is free for an app whose processes take `beside` places. An app with several
/// processes gets half of the places: if it is never ready, other apps still start. That does not hold
/// for what the issuer needs.
pub(super) fn fits(urgency: Urgency, beside: usize, starting: usize, limit: usize) -> bool {
    starting < limit && (urgency.for_issuer || beside < (limit / 2).max(1))
}

fn rank(one: &Candidate) -> impl Ord {
    let since = match one.claim {
        Claim::AtOnce | Claim::First => None,
        Claim::Restart(since) => Some(since),
    };
    (Reverse(one.urgency.for_issuer), since, Reverse(one.urgency.dependents), one.app)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Apps that could start, as claim, for the issuer, number of dependents; number of apps that
    /// are starting; the app that starts next when two may.
    struct Row(&'static [(Wish, bool, usize)], usize, Option<usize>);

    #[derive(Clone, Copy)]
    enum Wish {
        AtOnce,
        First,
        /// A restart that waits since then.
        Again(u64),
    }
    use Wish::{Again, AtOnce, First};

    #[test]
    fn the_issuer_and_what_others_wait_for_come_first_and_nothing_is_passed_over_for_ever() {
        let now = Instant::now();
        let table = [
            Row(&[], 0, None),
            Row(&[(First, false, 0)], 0, Some(0)),
            Row(&[(First, false, 0)], 1, Some(0)),
            Row(&[(First, false, 0)], 2, None),
            Row(&[(First, true, 0), (Again(1), true, 0)], 2, None),
            // A command does not wait for a place, nor for the issuer.
            Row(&[(First, true, 0), (AtOnce, false, 0)], 9, Some(1)),
            Row(&[(First, false, 7), (First, true, 0)], 0, Some(1)),
            Row(&[(First, false, 1), (First, false, 2)], 0, Some(1)),
            Row(&[(Again(0), false, 3), (First, false, 0)], 0, Some(1)),
            // Restarts: the one that has waited for longest, whatever waits for the others.
            Row(&[(Again(2), false, 9), (Again(1), false, 0)], 0, Some(1)),
            // The restart of the issuer is not behind the first starts of all others.
            Row(&[(First, false, 9), (Again(5), true, 0)], 0, Some(1)),
        ];
        for (row, Row(queue, starting, wanted)) in table.into_iter().enumerate() {
            let candidates = (0..).zip(queue).map(|(app, (wish, for_issuer, dependents))| {
                let claim = match wish {
                    AtOnce => Claim::AtOnce,
                    First => Claim::First,
                    Again(ms) => Claim::Restart(now + Duration::from_millis(*ms)),
                };
                let urgency = Urgency { for_issuer: *for_issuer, dependents: *dependents };
                Candidate { app, claim, urgency, beside: 0 }
            });
            let candidates: Vec<_> = candidates.collect();
            assert_eq!(next(&candidates, starting, 2), wanted, "row {row}");
        }
    }

    #[test]
    fn the_processes_of_one_app_take_half_of_the_places() {
        let one = |app, beside, for_issuer| {
            let urgency = Urgency { for_issuer, dependents: 0 };
            Candidate { app, claim: Claim::First, urgency, beside }
        };
        // Places, places taken by processes of app 0, the app that starts next beside app 1.
        for (limit, taken, wanted) in
            [(1, 0, 0), (2, 0, 0), (2, 1, 1), (3, 1, 1), (4, 1, 0), (4, 2, 1), (5, 2, 1), (8, 4, 1)]
        {
            let both = [one(0, taken, false), one(1, 0, false)];
            assert_eq!(next(&both, taken, limit), Some(wanted), "{limit} places, {taken} taken");
        }
        assert_eq!(next(&[one(0, 2, false)], 2, 4), None);
        assert_eq!(next(&[one(0, 2, true)], 2, 4), Some(0), "the issuer needs it");
        assert_eq!(next(&[one(0, 4, true)], 4, 4), None);
    }
}
