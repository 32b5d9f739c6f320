//! Hours of the week in which an app with `idle_stop` runs also unused.
//!
//! Pure: the caller says what the clock shows.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// The last minute of a day, as an end.
const MIDNIGHT: u16 = 24 * 60;

/// Hours of the week.
#[derive(Debug, Clone)]
pub struct WarmHours {
    /// The hours as written.
    pub text: String,
    /// The ranges that they mean.
    pub ranges: Vec<WarmRange>,
}

/// A range of hours on some days. One that ends before it begins ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmRange {
    /// The days on which the range begins, Monday first.
    pub days: [bool; 7],
    /// The minute of the day at which it begins.
    pub from: u16,
    /// The minute of the day at which it ends, up to 1440.
    pub to: u16,
}

impl PartialEq for WarmHours {
    fn eq(&self, other: &Self) -> bool {
        self.ranges == other.ranges
    }
}

impl WarmHours {
    /// Whether a moment is in these hours by the clock of a time zone, and when that changes.
    ///
    /// A time of day that the zone's clock jumps over counts as later by the length of the gap, and one
    /// that the clock shows twice counts the first time.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> (bool, Option<Timestamp>) {
        let mut changes = None;
        let mut is_warm = false;
        for (from, to) in self.periods(now, zone) {
            if from <= now && now < to {
                is_warm = true;
                // A later period can begin where this one ends.
                changes = changes.max(Some(to));
            } else if is_warm && changes.is_some_and(|end| from <= end) {
                changes = changes.max(Some(to));
            } else if from > now && !is_warm {
                return (false, Some(from));
            }
        }
        (is_warm, changes)
    }

    /// The periods from yesterday on for more than a week, in the order of their beginnings.
    fn periods(&self, now: Timestamp, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
        let today = now.to_zoned(zone.clone()).date();
        let days = (-1..=8).filter_map(|ahead| today.checked_add(Span::new().days(ahead)).ok());
        let mut found: Vec<_> = days
            .flat_map(|day| self.ranges.iter().filter_map(move |range| range.on(day, zone)))
            .collect();
        found.sort_unstable();
        found
    }
}

impl WarmRange {
    /// The period that begins on a day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if !self.days[weekday] {
            return None;
        }
        let next_day = day.tomorrow().ok()?;
        let end = if self.to <= self.from { next_day } else { day };
        let (from, to) = (moment(day, self.from, zone)?, moment(end, self.to, zone)?);
        (from < to).then_some((from, to))
    }
}

fn moment(day: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minute) = if minute == MIDNIGHT { (day.tomorrow().ok()?, 0) } else { (day, minute) };
    let hour = i8::try_from(minute / 60).ok()?;
    let time = Time::new(hour, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use crate::config::warm_hours;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    #[test]
    fn hours_follow_days_midnight_and_summer_time() {
        let office = "mon-fri 07:00-19:00, sat 09:00-12:00";
        // 2026-11-23 is a Monday. In Berlin, 02:00 is followed by 03:00 at 01:00 UTC on 29 March
        // 2026 (a Sunday), and 03:00 by 02:00 at 01:00 UTC on 25 October.
        for (hours, zone, now, warm, until) in [
            (office, "UTC", "2026-11-23T06:59:59Z", false, "2026-11-23T07:00:00Z"),
            (office, "UTC", "2026-11-23T07:00:00Z", true, "2026-11-23T19:00:00Z"),
            (office, "UTC", "2026-11-23T18:59:59.9Z", true, "2026-11-23T19:00:00Z"),
            (office, "UTC", "2026-11-23T19:00:00Z", false, "2026-11-24T07:00:00Z"),
            (office, "UTC", "2026-11-27T20:00:00Z", false, "2026-11-28T09:00:00Z"),
            (office, "UTC", "2026-11-28T12:00:00Z", false, "2026-11-30T07:00:00Z"),
            (office, "Europe/Berlin", "2026-11-23T06:00:00Z", true, "2026-11-23T18:00:00Z"),
            (office, "Europe/Berlin", "2026-06-01T05:00:00Z", true, "2026-06-01T17:00:00Z"),
            ("22:00-02:00", "UTC", "2026-11-23T01:59:00Z", true, "2026-11-23T02:00:00Z"),
            ("22:00-02:00", "UTC", "2026-11-23T02:00:00Z", false, "2026-11-23T22:00:00Z"),
            // The night belongs to the day on which it begins.
            ("fri 22:00-02:00", "UTC", "2026-11-28T01:00:00Z", true, "2026-11-28T02:00:00Z"),
            ("fri 22:00-02:00", "UTC", "2026-11-27T01:00:00Z", false, "2026-11-27T22:00:00Z"),
            ("sun 22:00-02:00", "UTC", "2026-11-23T01:00:00Z", true, "2026-11-23T02:00:00Z"),
            // Ranges that touch or overlap are one.
            (
                "mon 07:00-12:00, mon 12:00-13:00, mon 12:30-15:00",
                "UTC",
                "2026-11-23T08:00:00Z",
                true,
                "2026-11-23T15:00:00Z",
            ),
            ("sat-sun 00:00-24:00", "UTC", "2026-11-28T00:00:00Z", true, "2026-11-30T00:00:00Z"),
            ("fri-mon 08:00-09:00", "UTC", "2026-11-24T00:00:00Z", false, "2026-11-27T08:00:00Z"),
            // Only once a week.
            ("mon 07:00-08:00", "UTC", "2026-11-23T08:00:00Z", false, "2026-11-30T07:00:00Z"),
            // 02:30 does not exist on that day: it counts as 03:30.
            ("02:30-04:00", "Europe/Berlin", "2026-03-29T00:59:00Z", false, "2026-03-29T01:30:00Z"),
            ("01:00-03:30", "Europe/Berlin", "2026-03-29T01:10:00Z", true, "2026-03-29T01:30:00Z"),
            // 02:30 comes twice: the range begins at the first and lasts an hour longer.
            ("02:30-04:00", "Europe/Berlin", "2026-10-25T00:31:00Z", true, "2026-10-25T03:00:00Z"),
        ] {
            let parsed = warm_hours(hours).unwrap();
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            let found = parsed.at(at(now), &TimeZone::get(zone).unwrap());
            assert_eq!(found, (warm, Some(at(until))), "{hours} in {zone} at {now}");
        }
    }

    #[test]
    fn all_hours_are_warm_without_an_end_that_comes() {
        let parsed = warm_hours("00:00-24:00").unwrap();
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let (warm, until) = parsed.at(now, &TimeZone::UTC);
        assert!(warm && until.unwrap().duration_since(now).as_hours() > 7 * 24, "{until:?}");
    }
}
