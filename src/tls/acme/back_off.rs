//! How long the appliance waits after failed orders. Authorities count failures, and stop answering
//! for a while after some. The pause holds over restarts: an appliance that is started again and again
//! would order at each start.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::ownership::own_file;
use crate::config::reserved::ACME_RETRY;

const SHORTEST: Duration = Duration::from_mins(1);
/// Fewer than the five failures in an hour that Let's Encrypt bears for a host, and often enough for
/// certificates that live for a day.
const LONGEST: Duration = Duration::from_hours(1);

/// The pause after this many failures in a row. `jitter` from 0 to 1 spreads the tries of machines that
/// have failed together.
fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let pause = SHORTEST.saturating_mul(doubled).min(LONGEST);
    pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

/// What is ordered. Other orders need not wait for the pause of these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Subject {
    pub(super) directory: String,
    pub(super) hosts: Vec<String>,
    /// The authority can check the hosts by http.
    pub(super) redirects: bool,
}

/// The failed orders in a row, and when the next one may begin.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct BackOff {
    subject: Subject,
    pub(super) failures: u32,
    /// Seconds since 1970.
    next: u64,
}

impl BackOff {
    /// That of the last run if it ordered the same.
    pub(super) fn read(state_dir: &Path, subject: &Subject) -> Self {
        let text = own_file::read(&state_dir.join(ACME_RETRY)).unwrap_or_default();
        let kept: Option<Self> = serde_json::from_str(&text).ok();
        kept.filter(|kept| kept.subject == *subject).unwrap_or_else(|| Self {
            subject: subject.clone(),
            failures: 0,
            next: 0,
        })
    }

    /// How long the next order has to wait. A clock that was ahead makes this no longer.
    pub(super) fn remaining(&self, now: SystemTime) -> Duration {
        let next = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.next));
        let remaining = next.and_then(|next| next.duration_since(now).ok()).unwrap_or_default();
        remaining.min(pause(self.failures, 1.0))
    }

    /// Counts a failure. Returns the pause after it.
    pub(super) fn fail(&mut self, now: SystemTime) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.pause_from(now)
    }

    /// Begins the pause of the last failure now. Returns it.
    pub(super) fn pause_from(&mut self, now: SystemTime) -> Duration {
        let pause = pause(self.failures, fastrand::f64());
        let next = (now + pause).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.next = next.as_secs();
        pause
    }

    /// Forgets the failures.
    pub(super) fn succeed(&mut self) {
        (self.failures, self.next) = (0, 0);
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) fn write(state_dir: &Path, text: &str) -> io::Result<()> {
    own_file::replace(&state_dir.join(ACME_RETRY), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(host: &str) -> Subject {
        let directory = "https://ca.example/dir".to_owned();
        Subject { directory, hosts: vec![host.to_owned()], redirects: false }
    }

    #[test]
    fn the_pause_holds_over_restarts_for_the_same_order() {
        let folder = tempfile::tempdir().unwrap();
        let read = |host| BackOff::read(folder.path(), &subject(host));
        let minutes = |back_off: &BackOff, now| back_off.remaining(now).as_secs() / 60;
        let now = SystemTime::now();
        let mut back_off = read("a.example");
        assert_eq!((back_off.failures, minutes(&back_off, now)), (0, 0));
        for _ in 0..3 {
            back_off.fail(now);
        }
        write(folder.path(), &back_off.text()).unwrap();
        let kept = read("a.example");
        assert_eq!(kept, back_off);
        // Of 4 minutes, at most a fifth more or less.
        assert!((3..5).contains(&minutes(&kept, now)), "{kept:?}");
        assert_eq!(minutes(&kept, now + Duration::from_mins(5)), 0);
        assert!(minutes(&kept, now - Duration::from_hours(999)) < 5, "a clock that is set back");
        assert_eq!(read("b.example").failures, 0);
        back_off.succeed();
        write(folder.path(), &back_off.text()).unwrap();
        assert_eq!((read("a.example").failures, minutes(&read("a.example"), now)), (0, 0));
        write(folder.path(), "noise").unwrap();
        assert_eq!(read("a.example").failures, 0);
    }

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
