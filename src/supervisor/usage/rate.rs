//! The processor use of one app, from the readings of its processor time. Pure.

use std::time::Duration;

/// A shorter interval says little, because the kernel counts in steps of 10 ms.
const SHORTEST: Duration = Duration::from_secs(1);

/// Processor time up to a moment of the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) at: Duration,
    pub(super) cpu: Duration,
}

/// The processor use of one process family over the time between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    last: Reading,
    percent: Option<f64>,
    /// Processor time of all readings. Never decreases, also when processes of the family end.
    pub(super) total: Duration,
}

impl Rate {
    /// For a family that started at this moment.
    pub(super) fn since(started: Duration) -> Self {
        let last = Reading { at: started, cpu: Duration::ZERO };
        Self { last, percent: None, total: Duration::ZERO }
    }

    /// Percent of one processor: since the look before, or since the start at the first look. `None`
    /// within the first second. Within a second after a look, the result is that of this look.
    pub(super) fn look(&mut self, now: Reading) -> Option<f64> {
        let elapsed = now.at.saturating_sub(self.last.at);
        if elapsed >= SHORTEST {
            let used = now.cpu.saturating_sub(self.last.cpu);
            self.percent = Some(used.as_secs_f64() / elapsed.as_secs_f64() * 100.0);
            self.total += used;
            self.last = now;
        }
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_is_that_of_the_time_between_two_looks() {
        let ms = Duration::from_millis;
        let mut rate = Rate::since(ms(10_000));
        // Moment, processor time up to it, percent, total.
        let looks = [
            (10_300, 200, None, 0),
            (12_000, 500, Some(25), 500),
            // Less than a second after the last look.
            (12_900, 1_400, Some(25), 500),
            (13_000, 1_500, Some(100), 1_500),
            // Two processors.
            (15_000, 5_500, Some(200), 5_500),
            (25_000, 5_500, Some(0), 5_500),
            // A process of the family has ended, and nobody counts its time any more.
            (26_000, 3_000, Some(0), 5_500),
            (27_000, 3_100, Some(10), 5_600),
        ];
        for (at, cpu, percent, total) in looks {
            let shown = rate.look(Reading { at: ms(at), cpu: ms(cpu) });
            #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
            let shown = shown.map(|percent| percent.round() as i32);
            assert_eq!((shown, rate.total), (percent, ms(total)), "at {at}");
        }
    }
}
