//! Schedules: cron expressions, and `every 10m`.

use std::time::Duration;

use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Parsed, duration};
use crate::config::model::{Schedule, Times};

/// The shortest pause of `every`.
const SHORTEST: Duration = Duration::from_secs(1);

/// `*/5 * * * *`, `@daily` or `every 10m`
pub(crate) fn schedule(text: &str) -> Parsed<Schedule> {
    let Some(pause) = text.trim().strip_prefix("every ") else { return cron(text) };
    let pause = duration(pause.trim())?;
    if pause < SHORTEST {
        return Err(format!("`{text}` is too often; the shortest schedule is `every 1s`"));
    }
    Ok(Schedule { text: text.trim().to_owned(), times: Times::Every(pause) })
}

/// `*/5 * * * *` or `@daily`
pub(crate) fn cron(text: &str) -> Parsed<Schedule> {
    let text = text.trim();
    let meant = if text.eq_ignore_ascii_case("@midnight") { "@daily" } else { text };
    let parser = CronParser::builder().year(Year::Disallowed).build();
    let cron = parser.parse(meant).map_err(|error| {
        let why = match error {
            CronError::ComponentError(why) | CronError::IllegalCharacters(why) => why,
            _ => "it has five fields, or six with seconds".to_owned(),
        };
        let why = why.trim_end_matches('.');
        format!(
            "`{text}` is not a cron expression: {why}; write for example `*/5 * * * *` or `@daily`"
        )
    })?;
    let schedule = Schedule { text: text.to_owned(), times: Times::Cron(Box::new(cron)) };
    if schedule.next(Timestamp::now(), &TimeZone::UTC).is_none() {
        return Err(format!("no day matches `{text}`; write a day that exists in the month"));
    }
    Ok(schedule)
}

/// A name as `Europe/Berlin`, or a rule as `EST5EDT,M3.2.0,M11.1.0`.
pub(crate) fn time_zone(text: &str) -> Parsed<TimeZone> {
    let name = text.strip_prefix(':').unwrap_or(text);
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let found = TimeZone::get(name).or_else(|_| TimeZone::posix(name));
    found.map_err(|_| {
        format!("there is no time zone `{text}`; write for example `Europe/Berlin` or `UTC`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_cron_expressions_names_and_pauses() {
        for text in [
            "*/5 * * * *",
            "0 9-17 * * mon-fri",
            "30 2 1 jan *",
            "0 0 * * 7",
            "*/10 * * * * *",
            "@hourly",
            "@Daily",
            "@midnight",
            "@weekly",
            "@monthly",
            "@yearly",
            "every 1s",
            " every  1h 30m ",
            "0 0 29 2 *",
        ] {
            assert!(schedule(text).is_ok(), "{text}: {:?}", schedule(text));
        }
        for (text, why) in [
            ("", "is not a cron expression"),
            ("* * * *", "is not a cron expression"),
            ("61 * * * *", "is not a cron expression"),
            ("0 0 1 1 * 2020", "is not a cron expression"),
            ("0 0 0 1 1 * 2020", "is not a cron expression"),
            ("@reboot", "is not a cron expression"),
            ("10m", "is not a cron expression"),
            ("0 0 30 2 *", "no day matches"),
            ("every 500ms", "the shortest schedule is `every 1s`"),
            ("every 0s", "the shortest schedule is `every 1s`"),
            ("every day", "is not a duration"),
        ] {
            let error = schedule(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(cron("every 10m").is_err());
    }

    #[test]
    fn time_zones_are_names_or_rules() {
        for text in ["", "UTC", "Europe/Berlin", ":America/New_York", "EST5EDT,M3.2.0,M11.1.0"] {
            assert!(time_zone(text).is_ok(), "{text}");
        }
        assert!(time_zone("Mars/Olympus").is_err());
    }
}
