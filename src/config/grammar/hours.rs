//! Hours of the week: `mon-fri 07:00-19:00, sat 09:00-12:00`.

use super::Parsed;
use crate::config::model::{WarmHours, WarmRange};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The minute at which a day ends.
const MIDNIGHT: u16 = 24 * 60;
const EXAMPLE: &str = "write for example `mon-fri 07:00-19:00, sat 09:00-12:00`";

/// Ranges between commas. Without days, a range is for every day.
pub(crate) fn warm_hours(text: &str) -> Parsed<WarmHours> {
    let ranges = text.split(',').map(|part| range(part.trim()));
    Ok(WarmHours { text: text.trim().to_owned(), ranges: ranges.collect::<Parsed<_>>()? })
}

/// `mon-fri 07:00-19:00`
fn range(text: &str) -> Parsed<WarmRange> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (days, hours) = match words.as_slice() {
        [hours] => ([true; 7], *hours),
        [days, hours] => (self::days(days)?, *hours),
        _ => return Err(format!("`{text}` is not a range of hours; {EXAMPLE}")),
    };
    if self::days(hours).is_ok() {
        return Err(format!("`{text}` has no hours; {EXAMPLE}, with hours after each day"));
    }
    let (from, to) = hours
        .split_once('-')
        .and_then(|(from, to)| Some((minute(from)?, minute(to)?)))
        .ok_or_else(|| format!("`{hours}` is not a range of hours; {EXAMPLE}"))?;
    if from == to || from == MIDNIGHT {
        return Err(format!("`{hours}` is no time at all; write `00:00-24:00` for a whole day"));
    }
    Ok(WarmRange { days, from, to })
}

/// `mon`, or `fri-mon` over the weekend.
fn days(text: &str) -> Parsed<[bool; 7]> {
    let day = |text: &str| {
        DAYS.iter().position(|day| day.eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!(
                "`{text}` is not a day; the days are {}",
                DAYS.map(|day| format!("`{day}`")).join(", ")
            )
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + DAYS.len() - first) % DAYS.len();
    let mut found = [false; 7];
    for ahead in 0..=count {
        found[(first + ahead) % DAYS.len()] = true;
    }
    Ok(found)
}

/// The minute of the day of `07:00`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let minutes = number(hour)? * 60 + number(minute).filter(|minute| *minute < 60)?;
    (minutes <= MIDNIGHT).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_days_and_hours() {
        for (text, days, from, to) in [
            ("07:00-19:00", [true; 7], 420, 1140),
            ("mon-fri 07:00-19:00", [true, true, true, true, true, false, false], 420, 1140),
            (" Sat  09:30-24:00 ", [false, false, false, false, false, true, false], 570, 1440),
            ("sat-mon 22:00-02:00", [true, false, false, false, false, true, true], 1320, 120),
            ("mon-mon 00:00-00:01", [true, false, false, false, false, false, false], 0, 1),
        ] {
            assert_eq!(warm_hours(text).unwrap().ranges, [WarmRange { days, from, to }], "{text}");
        }
        assert_eq!(warm_hours("mon 07:00-08:00, tue 09:00-10:00").unwrap().ranges.len(), 2);
    }

    #[test]
    fn what_is_no_range_says_why() {
        for (text, why) in [
            ("", "is not a range of hours"),
            ("mon-fri", "has no hours"),
            ("mon, tue 07:00-08:00", "has no hours"),
            ("mon-fri 07:00", "`07:00` is not a range of hours"),
            ("mon-fri 7-19", "`7-19` is not a range of hours"),
            ("mon-fri 07:00-19:60", "is not a range of hours"),
            ("mon-fri 07:00-24:01", "is not a range of hours"),
            ("mon-fri 07:00-+9:00", "is not a range of hours"),
            ("mon-fry 07:00-19:00", "`fry` is not a day; the days are `mon`, `tue`"),
            ("mon - fri 07:00-19:00", "is not a range of hours"),
            ("07:00-07:00", "is no time at all"),
            ("24:00-07:00", "is no time at all"),
            ("07:00-19:00,", "is not a range of hours"),
        ] {
            let error = warm_hours(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
