//! How long a program waits for a refresh: each app has a share of the long waits, so that one app, with many
//! sessions at a slow issuer, does not use up the connections of all apps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::runtime::Mutex;
use crate::config::AppName;

/// How many programs of one app wait long at the same time: a quarter of the connections.
const SHARE: usize = 4;
/// How long a program waits that is not among these: an issuer that works answers by then.
const SHORT: Duration = Duration::from_millis(250);

/// The waits of all apps. Only apps with one have an entry.
#[derive(Debug, Default)]
pub(crate) struct Patience(Mutex<HashMap<AppName, usize>>);

/// A wait, until this is dropped.
#[derive(Debug)]
pub(super) struct Wait {
    app: AppName,
    all: Arc<Patience>,
    is_long: bool,
}

impl Patience {
    /// Counts a wait of an app.
    pub(super) fn begin(self: &Arc<Self>, app: &AppName) -> Wait {
        let mut waits = self.0.lock();
        let theirs = waits.entry(app.clone()).or_default();
        *theirs += 1;
        let is_long = *theirs <= SHARE;
        drop(waits);
        Wait { app: app.clone(), all: Arc::clone(self), is_long }
    }
}

impl Wait {
    /// How long it may last.
    pub(super) fn longest(&self) -> Duration {
        if self.is_long { Duration::MAX } else { SHORT }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self.all.0.lock();
        if let Some(theirs) = waits.get_mut(&self.app) {
            *theirs -= 1;
            if *theirs == 0 {
                waits.remove(&self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_a_share_of_the_long_waits() {
        let patience = Arc::new(Patience::default());
        let [one, other] = ["one", "other"].map(|name| AppName::new(name).unwrap());
        let mut waits: Vec<_> = (0..20).map(|_| patience.begin(&one)).collect();
        let long = |waits: &[Wait]| waits.iter().filter(|wait| wait.longest() > SHORT).count();
        assert_eq!(long(&waits), SHARE);
        assert!(patience.begin(&other).longest() > SHORT);
        waits.truncate(SHARE - 1);
        assert!(patience.begin(&one).longest() > SHORT);
        drop(waits);
        assert!(patience.0.lock().is_empty());
    }
}
