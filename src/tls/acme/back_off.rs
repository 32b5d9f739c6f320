//! How long the appliance waits after failed orders. Authorities count failures, and stop answering
//! for a while after some.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_mins(1);
/// Fewer than the five failures in an hour that Let's Encrypt bears for a host, and often enough for
/// certificates that live for a day.
const LONGEST: Duration = Duration::from_hours(1);

/// The pause after this many failures in a row. `jitter` from 0 to 1 spreads the tries of machines that
/// have failed together.
pub(super) fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let pause = SHORTEST.saturating_mul(doubled).min(LONGEST);
    pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_minute_to_an_hour() {
        let minutes = |failures, jitter| pause(failures, jitter).as_secs_f64() / 60.0;
        for (failures, jitter, wanted) in [
            (1, 0.5, 1.0),
            (1, 0.0, 0.8),
            (1, 1.0, 1.2),
            (2, 0.5, 2.0),
            (5, 0.5, 16.0),
            (6, 0.5, 32.0),
            (7, 0.5, 60.0),
            (u32::MAX, 0.5, 60.0),
            (u32::MAX, 1.0, 72.0),
        ] {
            let found = minutes(failures, jitter);
            assert!((found - wanted).abs() < 0.01, "{failures} {jitter}: {found}");
        }
    }
}
