//! A live session: who, until when, and whoever has to know when that changes.

use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::watch;

use super::Person;

/// A login that is in force.
#[derive(Debug)]
pub struct Session {}

/// Counts a live tunnel of a session; while there is one the session is refreshed by itself.
#[derive(Debug)]
pub struct TunnelGuard {}

/// What a tunnel has to know.
#[derive(Debug, Clone)]
pub enum SessionState {
    /// In force, for this person (who may have lost a group).
    Live(Arc<Person>),
    /// Over: signed out, expired, revoked.
    Ended,
}

impl Session {
    /// The person as of the last refresh. Cheap.
    pub fn person(&self) -> Arc<Person> {
        todo!()
    }

    /// The access token, ready to send, for apps that ask for it.
    pub fn access_token(&self) -> Option<HeaderValue> {
        todo!()
    }

    /// Registers a tunnel. The receiver changes when the person's groups do and when the session
    /// ends.
    pub fn tunnel(self: &Arc<Self>) -> (TunnelGuard, watch::Receiver<SessionState>) {
        todo!()
    }

    /// The person did something (a request, or a WebSocket message that is no ping or pong).
    pub fn touch(&self) {
        todo!()
    }
}
