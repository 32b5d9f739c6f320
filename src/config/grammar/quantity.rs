//! Durations, sizes, signals and umasks.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Parsed;

/// A longer duration could overflow when it is added to a time.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// `10s`, `1h 30m`; never negative.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is not a duration; write for example `500ms`, `10s`, `5m` or `1h`")
    })?;
    if duration > LONGEST {
        return Err(format!("`{text}` is longer than a hundred years; write a shorter duration"));
    }
    Ok(duration)
}

/// `64KiB`, `200MB`: powers of 1024 with an `i`, powers of 1000 without.
pub(crate) fn size(text: &str) -> Parsed<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
        "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1000 * 1000),
        "gb" => Some(1000 * 1000 * 1000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    factor
        .zip(number.parse().ok())
        .and_then(|(factor, number): (u64, u64)| number.checked_mul(factor))
        .ok_or_else(|| {
            format!("`{text}` is not a size; write for example `512B`, `64KiB`, `200MB` or `1GiB`")
        })
}

/// The largest number of a rate.
const MOST_IN_A_TIME: u32 = 1_000_000;

/// `50/s`, `600/m`, `1000/h`: a number, and in which time.
pub(crate) fn rate(text: &str) -> Parsed<(NonZeroU32, Duration)> {
    let parts = text.split_once('/').and_then(|(count, unit)| {
        let period = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return None,
        };
        let count: NonZeroU32 = count.trim().parse().ok()?;
        (count.get() <= MOST_IN_A_TIME).then_some((count, period))
    });
    parts.ok_or_else(|| {
        format!("`{text}` is not a rate; write for example `50/s`, `600/m` or `10000/h`")
    })
}

/// `TERM` or `SIGTERM`
pub(crate) fn signal(text: &str) -> Parsed<Signal> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    Signal::from_str(&format!("SIG{name}")).map_err(|_| {
        format!("there is no signal `{text}`; write for example `TERM`, `INT` or `QUIT`")
    })
}

/// `027`, octal
pub(crate) fn umask(text: &str) -> Parsed<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mask| *mask <= 0o777 && digits.len() >= 3)
        .ok_or_else(|| {
            format!("`{text}` is not a umask; write three octal digits, for example `027`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["-1s", "5 parsecs", "", "10", "101years", "500000000000years"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("200 MB"), Ok(200_000_000));
        for bad in
            ["10 elephants", "", "MB", "-1KB", "99999999999999999999B", "18446744073709551615GB"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates() {
        let parsed = |text| rate(text).map(|(count, period)| (count.get(), period.as_secs()));
        assert_eq!(parsed("50/s"), Ok((50, 1)));
        assert_eq!(parsed("600 / m"), Ok((600, 60)));
        assert_eq!(parsed("1000000/h"), Ok((1_000_000, 3600)));
        for bad in ["", "50", "0/s", "-1/s", "50/d", "1.5/s", "1000001/s", "/s", "s/50"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_and_masks() {
        assert_eq!(signal("TERM"), Ok(Signal::SIGTERM));
        assert_eq!(signal("SIGINT"), Ok(Signal::SIGINT));
        assert!(signal("NOPE").is_err());
        assert_eq!(umask("027"), Ok(0o027));
        assert_eq!(umask("0o022"), Ok(0o022));
        for bad in ["27", "999", "7777", "u=rwx"] {
            assert!(umask(bad).is_err(), "{bad}");
        }
    }
}
