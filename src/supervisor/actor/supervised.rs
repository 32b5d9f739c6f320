//! One supervised app: its state machine, its current incarnation, and its published state.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::incarnation::Incarnation;
use crate::config::{App, Phase};
use crate::supervisor::handle::AppStatus;
use crate::supervisor::life::event::Event;
use crate::supervisor::life::machine::Life;
use crate::supervisor::life::settings::Settings;

/// One supervised app.
#[derive(Debug)]
pub(super) struct Supervised {
    pub(super) app: Arc<App>,
    pub(super) life: Life,
    pub(super) incarnation: Option<Incarnation>,
    /// The first-time setup that runs. Dropping it kills its processes.
    pub(super) setup: Option<AbortOnDropHandle<()>>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) since: SystemTime,
    /// Started by a command: the start does not wait for dependencies that are stopped or have
    /// failed.
    pub(super) by_command: bool,
    /// The app has received its `Stop` event of the appliance's stop.
    pub(super) stop_sent: bool,
}

impl Supervised {
    pub(super) fn new(app: App) -> Self {
        let mut life = Life::new(Settings::from(&app), jitter);
        // The app is shown as waiting, not as stopped, until its turn.
        life.on(Event::Start, Instant::now());
        let phase = watch::Sender::new(life.phase());
        Self {
            app: Arc::new(app),
            life,
            incarnation: None,
            setup: None,
            phase,
            since: SystemTime::now(),
            by_command: false,
            stop_sent: false,
        }
    }

    pub(super) fn status(&self) -> AppStatus {
        let pid = self.incarnation.as_ref().and_then(|incarnation| incarnation.pid);
        AppStatus {
            name: self.app.name.clone(),
            phase: self.life.phase(),
            pid: pid.filter(|_| self.life.is_alive()).map(nix::unistd::Pid::as_raw),
            since: self.since,
            restarts: self.life.restarts,
            last_exit: self.life.last_exit,
        }
    }
}

/// A random number between -1 and 1. `std` seeds every hasher with new random keys.
fn jitter() -> f64 {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let unit = f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX);
    unit * 2.0 - 1.0
}
