//! What a process has in common with the others of its app.

use std::sync::Arc;

use crate::config::{App, Phase};
use crate::supervisor::actor::supervised::Supervised;
use crate::supervisor::idle::nap::{Bell, Nap};

/// What the proxy tells about the use of a new process: the same as about the others of its app.
pub(in crate::supervisor::actor) fn nap_of<'a>(
    app: &App,
    mut known: impl Iterator<Item = &'a Supervised>,
    bell: &Bell,
) -> Arc<Nap> {
    let may_sleep = app.idle_stop.is_some();
    match known.find(|one| one.name().app() == app.name.app()) {
        Some(one) => {
            one.nap.set_may_sleep(may_sleep);
            one.nap.clone()
        }
        None => Arc::new(Nap::new(bell, may_sleep)),
    }
}

/// Whether a process in this phase is up or on its way up: the app does not sleep.
pub(in crate::supervisor::actor) fn is_awake(phase: Phase) -> bool {
    match phase {
        Phase::Waiting
        | Phase::Setup
        | Phase::Starting
        | Phase::Ready
        | Phase::Unready
        | Phase::Backoff => true,
        // One that ends may be about to sleep. If it is not, the next use of the app starts what
        // sleeps.
        Phase::Stopping | Phase::Stopped | Phase::Idle | Phase::Failed | Phase::Finished => false,
    }
}
