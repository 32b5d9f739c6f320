//! Decides when an app uses too much memory. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long an app may use too much: a peak is no leak.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a longer pause between two looks, or within one, the time counts anew: the process was
/// suspended. A look itself takes less, also if an app is slow to read.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Since when an app has used too much memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Excessive {
    since: Option<Instant>,
    looked: Option<Instant>,
}

impl Excessive {
    /// Takes a look, which began and ended then; whether the app has used too much for long enough.
    /// `None`: the memory could not be read.
    pub(super) fn look(
        &mut self,
        used: Option<u64>,
        limit: u64,
        began: Instant,
        now: Instant,
    ) -> bool {
        let pause = self.looked.map_or(Duration::ZERO, |looked| began - looked);
        let paused = pause.max(now - began) > LONGEST_PAUSE;
        self.looked = Some(now);
        if used.is_none_or(|used| used <= limit) {
            self.since = None;
            return false;
        }
        if paused {
            self.since = None;
        }
        now - *self.since.get_or_insert(now) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Second, memory, and whether it is too much for too long.
    type Looks = [(u64, Option<u64>, bool)];

    #[test]
    fn only_five_seconds_without_a_break_are_too_long() {
        let over = |second| (second, Some(101), false);
        let cases: &[(&str, &Looks)] = &[
            (
                "at the limit",
                &[(0, Some(100), false), (3, Some(100), false), (6, Some(100), false)],
            ),
            ("over it", &[over(0), over(2), over(4), (5, Some(101), true), (6, Some(500), true)]),
            (
                "a peak",
                &[over(0), over(2), over(4), (5, Some(99), false), over(6), over(8), over(10)],
            ),
            ("unreadable", &[over(0), over(2), over(4), (5, None, false), over(6), over(8)]),
            ("suspended", &[over(0), over(2), over(60), over(62), over(64), (65, Some(101), true)]),
        ];
        for (name, looks) in cases {
            let (start, mut excessive) = (Instant::now(), Excessive::default());
            for (second, used, too_long) in *looks {
                let now = start + Duration::from_secs(*second);
                assert_eq!(excessive.look(*used, 100, now, now), *too_long, "{name} at {second}");
            }
        }
    }

    #[test]
    fn a_slow_look_is_no_suspension() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        // When the looks begin and end; whether the last one is too late or too long.
        for (looks, too_long) in [
            (&[(0, 2), (4, 6), (6, 8)][..], true),
            (&[(0, 0), (2, 4), (6, 6)], true),
            (&[(0, 0), (2, 60), (61, 62)], false),
            (&[(0, 2), (6, 8), (9, 9)], false),
        ] {
            let mut excessive = Excessive::default();
            let seen = looks
                .iter()
                .map(|(began, now)| excessive.look(Some(101), 100, at(*began), at(*now)));
            assert_eq!(seen.last(), Some(too_long), "{looks:?}");
        }
    }
}
