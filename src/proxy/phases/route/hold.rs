//! Lets requests wait for an app that restarts, so that people do not notice the restart.
//!
//! A `GET` or `HEAD` waits up to the app's `hold`. An app that was never ready, has failed or was
//! stopped is not waited for. Requests of programs that start an app with `idle_stop` wait as well. The
//! number of waiting requests is bounded, per app and in all, with a
//! share for each client; one more is refused at once. A client that leaves ends its wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use tokio::sync::watch;

use super::places::{Place, Places, Waiter};
use super::routed_app::RoutedApp;
use crate::config::Phase;
use crate::proxy::socket::alarm::within;

/// How long an app whose address refuses connections may still count as ready: its exit has not been
/// noticed yet.
const UNNOTICED: Duration = Duration::from_millis(1500);

/// Two places: one for the app, and one of all apps.
fn take_places<'a>(
    app: &'a RoutedApp,
    holds: &'a Places,
    waiter: Waiter,
) -> Option<[Place<'a>; 2]> {
    Some([app.restarts.waiting.take(waiter)?, holds.take(waiter)?])
}

/// Whether a request may wait, and be sent a second time. `bodiless`: it has no body.
pub(crate) fn may_wait(method: &Method, websocket: bool, bodiless: bool) -> bool {
    !websocket && bodiless && matches!(*method, Method::GET | Method::HEAD)
}

/// Notes, in the background, which apps have been ready. Must be called within a runtime.
pub(crate) fn observe(apps: &[Arc<RoutedApp>]) {
    for app in apps {
        let Some(mut phase) = app.phase.clone() else { continue };
        if app.restarts.is_observed.swap(true, Ordering::Relaxed) {
            continue;
        }
        let restarts = Arc::clone(&app.restarts);
        tokio::spawn(async move {
            if phase.wait_for(|phase| phase.is_ready()).await.is_ok() {
                restarts.was_ready.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// Waits for an app that is not ready because it restarts. Whether it is ready now.
pub(crate) async fn wait(app: &RoutedApp, holds: &Places, waiter: Waiter) -> bool {
    let Some(mut phase) = restarting(app).filter(|phase| comes_back(*phase.borrow())) else {
        return false;
    };
    let Some(_places) = take_places(app, holds, waiter) else { return false };
    within(app.route.hold, ready(&mut phase)).await == Some(true)
}

/// Waits for an app that a request has started.
pub(crate) async fn wait_for_start(app: &RoutedApp, holds: &Places, waiter: Waiter) {
    let Some(mut phase) = app.phase.clone().filter(|_| !app.route.hold.is_zero()) else { return };
    let Some(_places) = take_places(app, holds, waiter) else { return };
    let settled =
        |phase: &Phase| phase.is_ready() || matches!(phase, Phase::Failed | Phase::Stopped);
    within(app.route.hold, phase.wait_for(settled)).await;
}

/// Waits for an app that refused a connection although it counted as ready. Whether it is ready again,
/// or still.
pub(crate) async fn wait_unnoticed(app: &RoutedApp, holds: &Places, waiter: Waiter) -> bool {
    let Some(mut phase) = restarting(app) else { return false };
    let Some(_places) = take_places(app, holds, waiter) else { return false };
    let longest = UNNOTICED.min(app.route.hold);
    let noticed = within(longest, phase.wait_for(|phase| !phase.is_ready())).await.is_some();
    !noticed || within(app.route.hold, ready(&mut phase)).await == Some(true)
}

/// Whether a command has just restarted the app: a request in flight was cut off by the stop, not by a
/// crash that it may have caused itself.
pub(crate) fn is_commanded(app: &RoutedApp) -> bool {
    matches!(app.phase(), Phase::Stopping | Phase::Waiting | Phase::Starting)
}

/// The phase of an app that requests may wait for.
fn restarting(app: &RoutedApp) -> Option<watch::Receiver<Phase>> {
    let restarts = &app.restarts;
    let waits = restarts.has_process && restarts.was_ready.load(Ordering::Relaxed);
    app.phase.clone().filter(|_| waits && !app.route.hold.is_zero())
}

async fn ready(phase: &mut watch::Receiver<Phase>) -> bool {
    let settled = |phase: &Phase| phase.is_ready() || !comes_back(*phase);
    phase.wait_for(settled).await.is_ok_and(|phase| phase.is_ready())
}

/// Whether an app in this phase is expected to become ready by itself soon.
fn comes_back(phase: Phase) -> bool {
    match phase {
        Phase::Waiting | Phase::Starting | Phase::Unready | Phase::Stopping | Phase::Backoff => {
            true
        }
        Phase::Ready
        | Phase::Setup
        | Phase::Stopped
        | Phase::Idle
        | Phase::Failed
        | Phase::Finished => false,
    }
}
