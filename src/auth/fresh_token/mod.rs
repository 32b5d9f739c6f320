//! The current access token of a session, for the program of an app that holds a handle of the session: a
//! WebSocket outlives the token that its handshake carried.
//!
//! This room knows `session`; it knows no request, and no policy.

mod handle;
mod patience;

use std::sync::Arc;

use http::HeaderValue;

use super::runtime::clock;
use super::session::Session;
use super::session::renewal::Refresher;
use super::session::store::Sessions;
use crate::config::AppName;

pub(crate) use handle::Handles;
pub(crate) use patience::Patience;

/// Finds the sessions of handles, and refreshes them.
#[derive(Debug)]
pub(super) struct FreshTokens {
    pub(super) handles: Arc<Handles>,
    pub(super) patience: Arc<Patience>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) refresher: Refresher,
}

impl FreshTokens {
    /// The handle of a session for an app. A program has none: its session ends with the token that it has
    /// sent, and no refresh brings another one.
    pub(super) fn handle(&self, session: &Session, app: &AppName) -> Option<HeaderValue> {
        if session.is_program() {
            return None;
        }
        self.handles.make(session.id(), app)
    }

    /// The session of a handle for this app, if it is in force. Its token is refreshed before if it is
    /// about to end.
    pub(super) async fn session(&self, handle: &str, app: &AppName) -> Option<Arc<Session>> {
        let id = self.handles.read(handle, app)?;
        let session = self.sessions.by_id(id, clock::now())?;
        let wait = self.patience.begin(app);
        self.refresher.refresh_token_if_due(&session, clock::now(), wait.longest()).await;
        (!session.is_over()).then_some(session)
    }
}
