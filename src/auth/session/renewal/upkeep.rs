//! The background loop over all sessions: ends those that have reached a limit and refreshes those
//! with open tunnels.

use std::sync::Arc;
use std::time::Duration;

use super::refresh::Refresher;
use crate::auth::issuer::Issuer;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::store::Sessions;

/// Bounds of the time between two reviews, milliseconds.
const MIN_PAUSE: Millis = 100;
const MAX_PAUSE: Millis = 24 * 3600 * 1000;
/// Time to the next review if a session is due and could not be refreshed yet, milliseconds.
const RETRY_PAUSE: Millis = 500;

/// Keeps the sessions in order without a request.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) refresher: Refresher,
}

impl Upkeep {
    /// Reviews the sessions whenever one needs it. Never returns.
    pub(crate) async fn run(&self) {
        loop {
            let now = clock::now();
            let agenda = self.sessions.review(now);
            if agenda.save_last_uses {
                self.sessions.save_last_uses(now);
            }
            if self.issuer.is_up() {
                for session in &agenda.due {
                    drop(self.refresher.refresh(session));
                }
            }
            // A session that is due stays due until its refresh completes or the issuer is back.
            let retry = if agenda.due.is_empty() { u64::MAX } else { now + RETRY_PAUSE };
            let next = agenda.next.unwrap_or(u64::MAX).min(retry);
            let pause = next.saturating_sub(now).clamp(MIN_PAUSE, MAX_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                () = self.sessions.changed() => {}
            }
        }
    }
}
