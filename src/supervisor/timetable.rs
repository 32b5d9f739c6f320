//! The times of a schedule on the wall clock: which is next, and whether it has come.
//!
//! Pure: the caller says what the clock shows. Guarantees, whatever the clock does:
//!
//! - a time comes once, also if the clock is set back by less than [`CORRECTION`] after it;
//! - times that passed while the machine slept, or that a clock that was set forward has jumped
//!   over, count as one;
//! - the next time never stays far away because the clock once was wrong: a clock that is set back
//!   by more than [`CORRECTION`] counts as right.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{Schedule, Times};

/// A clock that is set back by less than this was wrong by a little: what has run does not run
/// again. Also what people expect who set a clock back from summer time by hand.
const CORRECTION: SignedDuration = SignedDuration::from_hours(3);

/// A schedule, and where the clock is in it.
#[derive(Debug, Clone)]
pub(crate) struct Timetable {
    schedule: Schedule,
    zone: TimeZone,
    next: Option<Timestamp>,
    /// What the clock showed when it was last looked at.
    noted: Timestamp,
    /// The newest time that has come.
    last: Option<Timestamp>,
}

/// A time that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// The time of the schedule.
    pub(crate) at: Timestamp,
    /// Later times of the schedule have passed as well.
    pub(crate) missed: bool,
}

impl Timetable {
    pub(crate) fn new(schedule: Schedule, zone: TimeZone, now: Timestamp) -> Self {
        let next = schedule.next(now, &zone);
        Self { schedule, zone, next, noted: now, last: None }
    }

    /// Whether this is the timetable of the same schedule in the same zone.
    pub(crate) fn is_of(&self, schedule: &Schedule, zone: &TimeZone) -> bool {
        self.schedule == *schedule && self.zone == *zone
    }

    /// The next time; `None` if there is none.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Begins anew: what was due before no longer counts.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        (self.next, self.noted) = (self.schedule.next(now, &self.zone), now);
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self, now: Timestamp) -> Option<Due> {
        let set_back = self.noted.duration_since(now);
        if set_back.is_positive() {
            let follows = !matches!(self.schedule.times, Times::Every(_));
            let last = self.last.filter(|_| follows && set_back < CORRECTION);
            self.next = self.schedule.next(last.map_or(now, |last| last.max(now)), &self.zone);
        }
        self.noted = now;
        let at = self.next.filter(|at| *at <= now)?;
        let following = self.schedule.next(at, &self.zone);
        let missed = following.is_some_and(|following| following <= now);
        self.next = if missed { self.schedule.next(now, &self.zone) } else { following };
        self.last = Some(at);
        Some(Due { at, missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schedule;

    /// What the clock shows, and the time that has come, with whether more were missed.
    type Look = (&'static str, Option<(&'static str, bool)>);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn timetable(text: &str, zone: &str, now: &str) -> Timetable {
        let parsed = schedule(text).unwrap();
        Timetable::new(parsed, TimeZone::get(zone).unwrap(), at(now))
    }

    #[test]
    fn times_follow_the_zone_also_when_its_clock_changes() {
        // In Berlin, 02:00 is followed by 03:00 at 01:00 UTC on 29 March 2026, and 03:00 by 02:00 at
        // 01:00 UTC on 25 October.
        for (schedule, zone, after, wanted) in [
            (
                "@daily",
                "UTC",
                "2026-03-28T23:30:00.7Z",
                ["2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"],
            ),
            (
                "0 3 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
            ),
            (
                "0 3 * * *",
                "America/New_York",
                "2026-11-24T12:00:00Z",
                ["2026-11-25T08:00:00Z", "2026-11-26T08:00:00Z"],
            ),
            // 02:30 does not exist on that day: the run comes when the gap ends.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-29T00:30:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            // 02:30 comes twice: the job runs once.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T23:30:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // A job for every half hour has no gap and runs in both hours.
            (
                "*/30 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:30:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
            ),
            (
                "*/30 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"],
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2026-03-01T00:00:00Z",
                ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
            ),
            (
                "* * * * * *",
                "UTC",
                "2026-03-01T00:00:00.5Z",
                ["2026-03-01T00:00:01Z", "2026-03-01T00:00:02Z"],
            ),
            (
                "every 90m",
                "Europe/Berlin",
                "2026-03-29T00:30:00Z",
                ["2026-03-29T02:00:00Z", "2026-03-29T03:30:00Z"],
            ),
        ] {
            let mut table = timetable(schedule, zone, after);
            for wanted in wanted {
                assert_eq!(table.next(), Some(at(wanted)), "{schedule} in {zone} after {after}");
                assert_eq!(table.look(at(wanted)).map(|due| due.at), Some(at(wanted)));
            }
        }
    }

    #[test]
    fn a_time_comes_once_whatever_the_clock_does() {
        let ran = |at: &'static str| Some((at, false));
        let late = |at: &'static str| Some((at, true));
        let rows: [(&str, &[Look]); 8] = [
            // As planned: never early, once each.
            (
                "0 * * * *",
                &[
                    ("10:00:00", None),
                    ("10:59:59.9", None),
                    ("11:00:00", ran("11:00:00")),
                    ("11:00:00.1", None),
                    ("12:00:03", ran("12:00:00")),
                    ("12:59:00", None),
                ],
            ),
            // The machine slept: one run for all that was missed, then as planned.
            (
                "0 * * * *",
                &[
                    ("16:20:00", late("11:00:00")),
                    ("16:21:00", None),
                    ("17:00:00", ran("17:00:00")),
                ],
            ),
            // It slept over one time.
            ("0 * * * *", &[("11:20:00", ran("11:00:00")), ("12:00:00", ran("12:00:00"))]),
            // The clock is corrected by seconds after a run: no second run.
            (
                "0 * * * *",
                &[
                    ("11:00:00", ran("11:00:00")),
                    ("10:59:57", None),
                    ("11:00:00", None),
                    ("12:00:00", ran("12:00:00")),
                ],
            ),
            // The same for an hour.
            (
                "*/30 * * * *",
                &[
                    ("10:30:00", ran("10:30:00")),
                    ("11:00:00", ran("11:00:00")),
                    ("10:00:01", None),
                    ("10:30:00", None),
                    ("11:00:00", None),
                    ("11:30:00", ran("11:30:00")),
                ],
            ),
            // The clock was wrong by half a day: the times of the new clock count.
            (
                "0 * * * *",
                &[
                    ("22:00:00", late("11:00:00")),
                    ("10:30:00", None),
                    ("11:00:00", ran("11:00:00")),
                ],
            ),
            // A pause has no time of day: it begins anew when the clock is set back.
            (
                "every 10m",
                &[
                    ("10:10:00", ran("10:10:00")),
                    ("10:20:00.2", ran("10:20:00")),
                    ("10:30:00", ran("10:30:00")),
                    ("09:00:00", None),
                    ("09:09:59", None),
                    ("09:10:00", ran("09:10:00")),
                ],
            ),
            (
                "every 10m",
                &[
                    ("11:45:00", late("10:10:00")),
                    ("11:50:00", None),
                    ("11:55:00", ran("11:55:00")),
                ],
            ),
        ];
        for (row, (schedule, looks)) in rows.into_iter().enumerate() {
            let day = |time: &str| at(&format!("2026-06-01T{time}Z"));
            let mut table = timetable(schedule, "UTC", "2026-06-01T10:00:00Z");
            for (clock, wanted) in looks {
                let found = table.look(day(clock));
                let wanted = wanted.map(|(at, missed)| Due { at: day(at), missed });
                assert_eq!(found, wanted, "row {row}, {schedule} at {clock}");
                assert!(table.next().is_some_and(|next| next > day(clock)), "row {row} at {clock}");
            }
        }
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_delay_the_next_time() {
        let mut table = timetable("0 3 * * *", "UTC", "2036-01-01T00:00:00Z");
        assert_eq!(table.look(at("2026-06-01T10:00:00Z")), None);
        assert_eq!(table.next(), Some(at("2026-06-02T03:00:00Z")));
    }

    #[test]
    fn what_begins_anew_makes_up_for_nothing() {
        let mut table = timetable("0 * * * *", "UTC", "2026-06-01T10:00:00Z");
        table.begin(at("2026-06-01T15:30:00Z"));
        assert_eq!(table.look(at("2026-06-01T15:31:00Z")), None);
        assert_eq!(table.next(), Some(at("2026-06-01T16:00:00Z")));
    }
}
