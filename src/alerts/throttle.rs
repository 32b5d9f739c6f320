//! At most one alert of a kind for an app in five minutes. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::AlertEvent;

const INTERVAL: Duration = Duration::from_mins(5);

/// When the last alert of each kind was sent for each app.
#[derive(Debug, Default)]
pub(super) struct Throttle(HashMap<(AlertEvent, String), Instant>);

impl Throttle {
    /// Whether an alert may be sent now; if so, it counts.
    pub(super) fn admits(&mut self, event: AlertEvent, app: &str, now: Instant) -> bool {
        // Apps that are gone from the configuration leave no entry behind.
        self.0.retain(|_, sent| now.duration_since(*sent) < INTERVAL);
        let key = (event, app.to_owned());
        let admits = !self.0.contains_key(&key);
        if admits {
            self.0.insert(key, now);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alert_of_a_kind_for_an_app_in_five_minutes() {
        use AlertEvent::{Failed, Unready};
        let (start, mut throttle) = (Instant::now(), Throttle::default());
        for (second, event, app, admitted) in [
            (0, Failed, "a", true),
            (1, Failed, "a", false),
            (1, Failed, "b", true),
            (2, Unready, "a", true),
            (299, Failed, "a", false),
            // Counted from the alert that was sent, not from those that were not.
            (300, Failed, "a", true),
            (301, Failed, "b", true),
            (599, Failed, "a", false),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(throttle.admits(event, app, now), admitted, "{event:?} {app} at {second}");
        }
        throttle.admits(Failed, "c", start + Duration::from_hours(1));
        assert_eq!(throttle.0.len(), 1, "nothing is kept for longer");
    }
}
