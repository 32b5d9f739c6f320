//! People and operators look at sessions and end them.
//!
//! A session that is ended here ends at the issuer as well, by the revocation of its refresh token:
//! otherwise the browser would be signed in again without a question. The token of a session of the
//! issuer that the person goes on using stays.

use tracing::info;

use super::Login;
use crate::auth::session::store::{EndReason, SessionRow, SessionStore as _, Which};
use crate::auth::session::{Session, SessionId};

/// An order to end sessions.
#[derive(Debug, Clone, Copy)]
pub enum EndOrder<'a> {
    /// A person ends one session of their own, by its id.
    Own {
        /// The session of the request.
        session: &'a Session,
        /// The id in the list.
        id: &'a str,
    },
    /// A person ends all sessions of their own but the one of the request.
    Others(&'a Session),
    /// An operator ends one session.
    One {
        /// The id in the list.
        id: &'a str,
        /// Who orders it, for the log.
        by: &'a str,
    },
    /// An operator ends all sessions of the people with this user name.
    OfUser {
        /// The user name.
        user: &'a str,
        /// Who orders it, for the log.
        by: &'a str,
    },
}

impl Login {
    /// The sessions of the person of this session.
    pub(crate) async fn own_sessions(&self, session: &Session) -> Vec<SessionRow> {
        let which = Which::OfSubject { subject: session.subject(), except: None };
        self.list(which, Some(session)).await
    }

    /// All sessions. `current` is that of the request, if it has one.
    pub(crate) async fn all_sessions(&self, current: Option<&Session>) -> Vec<SessionRow> {
        self.list(Which::All, current).await
    }

    async fn list(&self, which: Which<'_>, current: Option<&Session>) -> Vec<SessionRow> {
        let mut rows = self.grants.sessions.list(which).await;
        let current = current.map(|session| session.id().to_string());
        for row in &mut rows {
            row.current = Some(&row.id) == current.as_ref();
        }
        rows
    }

    /// Ends sessions. Returns how many were in force.
    pub(crate) async fn end_sessions(&self, order: EndOrder<'_>) -> usize {
        let (which, by) = match order {
            EndOrder::Own { session, id } => match SessionId::parse(id) {
                Some(id) => (Which::One { id, subject: Some(session.subject()) }, None),
                None => return 0,
            },
            EndOrder::Others(session) => {
                let except = Some(session.id());
                (Which::OfSubject { subject: session.subject(), except }, None)
            }
            EndOrder::One { id, by } => match SessionId::parse(id) {
                Some(id) => (Which::One { id, subject: None }, Some(by)),
                None => return 0,
            },
            EndOrder::OfUser { user, by } => (Which::OfUser(user), Some(by)),
        };
        let reason = if by.is_some() { EndReason::ByOperator } else { EndReason::ByPerson };
        let ended = self.grants.sessions.end_all(which, reason).await;
        if let Some(by) = by {
            info!(by, sessions = ended.len(), "an operator has ended sessions");
        }
        let stays = match order {
            EndOrder::Own { session, .. } | EndOrder::Others(session) => session.sid.clone(),
            EndOrder::One { .. } | EndOrder::OfUser { .. } => None,
        };
        let number = ended.len();
        for one in ended {
            let is_in_use = stays.is_some() && one.sid == stays;
            if let Some(token) = one.refresh.filter(|_| !is_in_use) {
                drop(self.grants.revoke(token));
            }
        }
        number
    }
}
