//! The reasons for which the proxy closes a tunnel: the session, the app, or a stop of the appliance.

use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::{Session, SessionState, TunnelGuard};
use crate::config::Phase;
use crate::proxy::phases::route::requirements::Requirements;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::socket::stop_stage::StopStage;

/// Close code: the appliance stops.
pub(super) const CLOSE_GOING_AWAY: u16 = 1001;
/// Close code: the session has ended, or the person no longer has access to the app.
pub(super) const CLOSE_POLICY_VIOLATION: u16 = 1008;
/// Close code: the app was stopped, was restarted, or has crashed.
pub(super) const CLOSE_SERVICE_RESTART: u16 = 1012;

/// The session to which a tunnel belongs.
#[derive(Debug)]
pub(crate) struct TunnelSession {
    pub(super) session: Arc<Session>,
    changes: watch::Receiver<SessionState>,
    /// The session is refreshed in the background as long as this guard exists.
    _guard: TunnelGuard,
}

impl TunnelSession {
    /// Registers a tunnel with its session.
    pub(crate) fn new(session: Arc<Session>) -> Self {
        let (guard, changes) = session.tunnel();
        Self { session, changes, _guard: guard }
    }
}

/// Waits for a reason to close the tunnel. Returns the close code (RFC 6455 section 7.4).
pub(super) async fn close_reason(
    requirements: &Requirements,
    session: Option<&TunnelSession>,
    mut stop: watch::Receiver<StopStage>,
) -> u16 {
    tokio::select! {
        () = access_lost(requirements, session) => CLOSE_POLICY_VIOLATION,
        () = app_stopped(requirements.app()) => CLOSE_SERVICE_RESTART,
        _ = stop.wait_for(|stop| *stop != StopStage::Running) => CLOSE_GOING_AWAY,
    }
}

async fn access_lost(requirements: &Requirements, session: Option<&TunnelSession>) {
    let Some(session) = session else { return std::future::pending().await };
    let mut changes = session.changes.clone();
    // The session owns the sender: a closed channel means that the session has ended.
    let _ = changes
        .wait_for(|state| match state {
            SessionState::Live(person) => !requirements.admit(person),
            SessionState::Ended => true,
        })
        .await;
}

async fn app_stopped(app: &RoutedApp) {
    let Some(phase) = &app.phase else { return std::future::pending().await };
    let serves = |phase: &Phase| phase.is_ready() || *phase == Phase::Unready;
    let _ = phase.clone().wait_for(|phase| !serves(phase)).await;
}
