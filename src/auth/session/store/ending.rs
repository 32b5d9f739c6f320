//! The end of sessions, by whatever names them: in memory, and in the files that remember it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::info;

use super::disk::ended_before::{Key, Mark, oldest_needed};
use super::end_reason::EndReason;
use super::session_store::{EndedSession, Which};
use super::sessions::Sessions;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::{Session, SessionId, Ticket};

impl Which<'_> {
    /// The name under which the end is remembered for sessions that are not in memory; `None` if the ids
    /// of the sessions are enough.
    fn key(&self) -> Option<Key> {
        match self {
            Self::All | Self::One { .. } => None,
            Self::OfIssuerSession { sid, .. } => Some(Key::issuer_session(sid)),
            Self::OfSubject { subject, .. } => Some(Key::subject(subject)),
            Self::OfUser(user) => Some(Key::user(user)),
        }
    }

    fn except(&self) -> Option<SessionId> {
        match self {
            Self::OfSubject { except, .. } => *except,
            _ => None,
        }
    }
}

impl Sessions {
    /// Ends a session and closes its tunnels.
    pub(super) fn end_now(&self, session: &Arc<Session>, reason: EndReason) {
        let until = self.remembered_until(session.signed_in, session.until);
        let mut table = self.table.lock();
        if !session.end() {
            return;
        }
        // The ledger learns of the end before the session leaves the table. Otherwise a request in
        // between would find the session in neither and restore it.
        self.ledger.end(session.id, until);
        table.remove(session.id);
        drop(table);
        if until * 1000 <= clock::now() {
            self.ledger.forget_proof(session.id);
        } else {
            self.ledger.record(session.id, until);
        }
        let user = &session.grant().person.user;
        if reason == EndReason::SignedOut {
            info!(user, "signed out");
        } else {
            info!(user, reason = reason.text(), "session ended");
        }
    }

    /// Ends a session that is known only by its ticket.
    pub(super) fn end_ticket_now(&self, ticket: &Ticket, reason: EndReason) {
        let until = self.remembered_until(ticket.signed_in, ticket.until);
        let table = self.table.lock();
        self.ledger.end(ticket.id, until);
        let known = table.by_id(ticket.id);
        drop(table);
        self.ledger.record(ticket.id, until);
        if let Some(session) = known {
            self.end_now(&session, reason);
        } else {
            info!(reason = reason.text(), "session ended");
        }
    }

    /// Ends a session of which only the id is known, if it has not ended.
    pub(super) fn end_by_id(&self, id: SessionId, reason: EndReason) {
        let table = self.table.lock();
        let known = table.by_id(id);
        if let Some(session) = known {
            drop(table);
            return self.end_now(&session, reason);
        }
        // Its login is not known, so the mark lasts as long as any session can.
        let until = clock::now().saturating_add(self.lifetime.load(Ordering::Relaxed)) / 1000 + 1;
        self.ledger.end(id, until);
        drop(table);
        self.ledger.record(id, until);
    }

    /// Ends all these sessions: those in memory, those that only their cookies hold, and those whose
    /// login is under way. Returns those that were in memory.
    pub(super) fn end_these(&self, which: Which<'_>, reason: EndReason) -> Vec<EndedSession> {
        let mark = Mark { at: clock::now(), except: which.except() };
        let oldest = oldest_needed(mark.at, self.lifetime.load(Ordering::Relaxed));
        let table = self.table.lock();
        // While the table is locked: a login that comes into force later meets the mark.
        if let Some(key) = which.key() {
            self.logouts.end(key, mark, oldest);
        }
        let theirs = which.select(&table);
        drop(table);
        for session in &theirs {
            self.end_now(session, reason);
        }
        if let Some(key) = which.key() {
            self.logouts.record(key, mark);
        }
        let left = |session: &Arc<Session>| EndedSession {
            sid: session.sid.clone(),
            refresh: session.grant().tokens.refresh.clone(),
        };
        theirs.iter().map(left).collect()
    }

    /// Whether the session of a ticket has ended before its lifetime was over. `began`: when its login
    /// began, as precisely as it is known.
    pub(super) fn has_ended(&self, ticket: &Ticket, began: Millis) -> bool {
        let subject = Key::subject(&ticket.subject);
        let sid = ticket.sid.as_deref().map(Key::issuer_session);
        self.ledger.has_ended(ticket.id)
            || self.logouts.reach(sid.into_iter().chain([subject]), ticket.id, began)
    }

    /// Whether an end by name reaches the session of a program, which is in no store. An `iat` has seconds, so
    /// a token of the second of the end is refused, although it may have been issued after it: the other way
    /// round, a token of the last moment before the end would stay in force. A token that counts as issued when
    /// it is first seen has milliseconds.
    pub(crate) fn has_program_ended(&self, session: &Session) -> bool {
        let names = [Key::subject(&session.subject), Key::user(&session.person().user)];
        let sid = session.sid.as_deref().map(Key::issuer_session);
        self.logouts.reach(sid.into_iter().chain(names), session.id, session.began)
    }

    /// Whether all sessions of people with this name have ended that began at `began`.
    pub(super) fn has_user_ended(&self, user: &str, id: SessionId, began: Millis) -> bool {
        self.logouts.reach([Key::user(user)], id, began)
    }
}
