//! How long ago something was, for people: `3 min`.

use jiff::{Timestamp, Unit};

/// The age of an RFC 3339 timestamp; the text itself if it is none.
pub(crate) fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return since.to_owned() };
    // The clock may have been set back.
    let seconds = (now - since).total(Unit::Second).map_or(0.0, |seconds| seconds.max(0.0));
    let (unit, name) = match seconds {
        0.0..60.0 => (1.0, "s"),
        60.0..3600.0 => (60.0, "min"),
        3600.0..172_800.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{:.0} {name}", (seconds / unit).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for (since, shown) in [
            ("2026-11-24T10:00:00.500Z", "0 s"),
            ("2026-11-24T10:00:00Z", "0 s"),
            ("2026-11-24T09:59:01Z", "59 s"),
            ("2026-11-24T09:59:00Z", "1 min"),
            ("2026-11-24T09:56:00.001Z", "3 min"),
            ("2026-11-24T09:00:00Z", "1 h"),
            ("2026-11-22T11:00:00Z", "47 h"),
            ("2026-11-22T10:00:00Z", "2 d"),
            ("2025-11-24T10:00:00Z", "365 d"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(age(since, now), shown, "{since}");
        }
    }
}
