//! Timestamps of the log and of `status`.

use std::fmt;
use std::time::SystemTime;

pub(super) fn now() -> impl fmt::Display {
    rfc3339(SystemTime::now())
}

/// A time of [`rfc3339`] for people: `2026-11-24T10:00:00.123Z` as `2026-11-24 10:00`.
pub(crate) fn to_the_minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(at: SystemTime) -> impl fmt::Display {
    struct Stamp(time::OffsetDateTime);
    impl fmt::Display for Stamp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let ((year, month, day), (hour, minute, second, milli)) =
                (self.0.to_calendar_date(), self.0.to_hms_milli());
            let month = u8::from(month);
            write!(f, "{year:04}-{month:02}-{day:02}T")?;
            write!(f, "{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
        }
    }
    Stamp(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_minute() {
        assert_eq!(to_the_minute("2026-11-24T10:00:59.123Z"), "2026-11-24 10:00");
    }
}
