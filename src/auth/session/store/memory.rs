//! The store of one process: all sessions in force are in its memory. Its calls complete at once.

use std::sync::Arc;

use super::end_reason::{Barred, EndReason};
use super::lease::Lease;
use super::listed::SessionRow;
use super::session_store::{Arrival, EndedSession, SessionStore, Which};
use super::sessions::Sessions;
use super::table::Table;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::{Grant, Session, SessionId, Ticket};

impl SessionStore for Sessions {
    async fn put(
        &self,
        ticket: &Ticket,
        grant: Grant,
        arrival: Arrival,
    ) -> Result<Arc<Session>, Barred> {
        self.insert(ticket, grant, arrival)
    }

    async fn lease(&self, id: SessionId) -> Option<Lease> {
        self.leases.take(id)
    }

    async fn renew(
        &self,
        lease: Lease,
        session: &Arc<Session>,
        grant: Grant,
    ) -> Result<(), Barred> {
        let renewed = self.replace_grant(session, grant);
        drop(lease);
        renewed
    }

    async fn end(&self, session: &Arc<Session>, reason: EndReason) {
        self.end_now(session, reason);
    }

    async fn end_ticket(&self, ticket: &Ticket, reason: EndReason) {
        self.end_ticket_now(ticket, reason);
    }

    async fn end_all(&self, which: Which<'_>, reason: EndReason) -> Vec<EndedSession> {
        self.end_these(which, reason)
    }

    async fn end_id(&self, id: SessionId, reason: EndReason) {
        self.end_by_id(id, reason);
    }

    async fn use_logout_token(&self, id: &str, ends: Millis) -> bool {
        self.logouts.use_token(id, ends)
    }

    async fn list(&self, which: Which<'_>) -> Vec<SessionRow> {
        let found = which.select(&self.table.lock());
        let mut rows: Vec<_> = found.iter().map(|session| SessionRow::of(session)).collect();
        // The texts of times are in the order of the times.
        rows.sort_by(|one, other| other.last_used.cmp(&one.last_used).then(one.id.cmp(&other.id)));
        rows
    }
}

impl Which<'_> {
    /// Those in memory.
    pub(super) fn select(&self, table: &Table) -> Vec<Arc<Session>> {
        let is_of = |one: &Session, subject: Option<&str>| {
            subject.is_none_or(|subject| *one.subject == *subject)
        };
        match self {
            Self::All => table.sessions().cloned().collect(),
            Self::One { id, subject } => {
                table.by_id(*id).into_iter().filter(|one| is_of(one, *subject)).collect()
            }
            Self::OfIssuerSession { sid, subject } => {
                let theirs = table.of_issuer_session(sid).iter();
                theirs.filter(|one| is_of(one, *subject)).cloned().collect()
            }
            Self::OfSubject { subject, except } => {
                let theirs = table.of_subject(subject).iter();
                theirs.filter(|one| Some(one.id) != *except).cloned().collect()
            }
            Self::OfUser(user) => {
                table.sessions().filter(|one| one.person().user == *user).cloned().collect()
            }
        }
    }
}
