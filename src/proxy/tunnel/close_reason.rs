//! The reasons for which the proxy closes a tunnel: the session, the app, or a stop of the appliance.

use tokio::sync::watch;

use crate::config::Phase;
use crate::proxy::phases::access::right::{Loss, WatchedRight};
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::socket::stop_stage::StopStage;

/// Close code: the appliance stops.
pub(super) const CLOSE_GOING_AWAY: u16 = 1001;
/// Close code: the session has ended, or the person no longer has access to the app.
pub(super) const CLOSE_POLICY_VIOLATION: u16 = 1008;
/// Close code: the app was stopped, was restarted, has crashed, has another upstream after a reload,
/// or received an identity with the handshake that is no longer right. Clients connect again by themselves.
pub(super) const CLOSE_SERVICE_RESTART: u16 = 1012;

/// Waits for a reason to close the tunnel. Returns the close code (RFC 6455 section 7.4).
pub(super) async fn close_reason(
    app: &RoutedApp,
    right: &WatchedRight,
    mut stop: watch::Receiver<StopStage>,
) -> u16 {
    tokio::select! {
        biased;
        // A reload that removes an app takes away its path as well.
        () = app_stopped(app) => CLOSE_SERVICE_RESTART,
        loss = right.lost(true) => match loss {
            Loss::Session | Loss::Access => CLOSE_POLICY_VIOLATION,
            Loss::Identity | Loss::Upstream => CLOSE_SERVICE_RESTART,
        },
        _ = stop.wait_for(|stop| *stop != StopStage::Running) => CLOSE_GOING_AWAY,
    }
}

async fn app_stopped(app: &RoutedApp) {
    let Some(phase) = &app.phase else { return std::future::pending().await };
    let serves = |phase: &Phase| phase.is_ready() || *phase == Phase::Unready;
    let _ = phase.clone().wait_for(|phase| !serves(phase)).await;
}
