//! What ends a tunnel from outside: the session, the app, or a stop of the appliance.

use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::policy::{Verdict, decide};
use crate::auth::{Person, Session, SessionState, TunnelGuard};
use crate::config::Phase;
use crate::proxy::phases::route::target::{Policy, Target};
use crate::proxy::phases::route::terms::Terms;
use crate::proxy::socket::stop::Stop;

/// The appliance stops.
pub(super) const GOING_AWAY: u16 = 1001;
/// The session has ended, or its person may not use the app any more.
pub(super) const POLICY: u16 = 1008;
/// The app was stopped, restarted, or has died.
pub(super) const RESTART: u16 = 1012;

/// The session of a tunnel.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) session: Arc<Session>,
    changes: watch::Receiver<SessionState>,
    /// While it lives, the session is renewed in the background.
    _guard: TunnelGuard,
}

impl Holder {
    /// Registers a tunnel with its session.
    pub(crate) fn new(session: Arc<Session>) -> Self {
        let (guard, changes) = session.tunnel();
        Self { session, changes, _guard: guard }
    }
}

/// Waits until something outside ends the tunnel. Returns the close code (RFC 6455 section 7.4).
pub(crate) async fn ending(
    terms: &Terms,
    holder: Option<&Holder>,
    mut stop: watch::Receiver<Stop>,
) -> u16 {
    tokio::select! {
        () = right_lost(terms, holder) => POLICY,
        () = app_gone(terms.target()) => RESTART,
        _ = stop.wait_for(|stop| *stop != Stop::No) => GOING_AWAY,
    }
}

async fn right_lost(terms: &Terms, holder: Option<&Holder>) {
    let Some(holder) = holder else { return std::future::pending().await };
    let is_shut_out = |person: &Person| {
        let allows = |policy: Policy<'_>| decide(policy.access, policy.deny, Some(person));
        terms.policies().any(|policy| allows(policy) != Verdict::Allow)
    };
    let mut changes = holder.changes.clone();
    // The sender lives in the session: a closed channel means that the session is over.
    let _ = changes
        .wait_for(|state| match state {
            SessionState::Live(person) => is_shut_out(person),
            SessionState::Ended => true,
        })
        .await;
}

async fn app_gone(target: &Target) {
    let Some(phase) = &target.phase else { return std::future::pending().await };
    let serves = |phase: &Phase| phase.is_ready() || *phase == Phase::Unready;
    let _ = phase.clone().wait_for(|phase| !serves(phase)).await;
}
