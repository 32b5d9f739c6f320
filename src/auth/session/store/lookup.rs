//! Finds the session of a request.
//!
//! A known cookie costs one look-up in the table: the sealed text itself is the key, and nothing is
//! decrypted. Only an unknown text is opened.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, HeaderValue};

use super::end_reason::EndReason;
use super::sessions::Sessions;
use crate::auth::cookie::{EmbedCookie, cookies};
use crate::auth::runtime::clock::Millis;
use crate::auth::session::{Dispute, SealedCookie, Session, SessionId, Ticket};

/// What the cookies of a request stand for.
#[derive(Debug)]
pub(crate) enum Found {
    /// A session in force, and the newest `Set-Cookie` value if the browser has sent an older one.
    Live(Arc<Session>, Option<HeaderValue>),
    /// A valid cookie of a session that is not in memory; it may be restored.
    Sealed(Ticket),
    /// No session.
    Nobody(Nobody),
}

/// Why a request has no session.
#[derive(Debug)]
pub(crate) enum Nobody {
    /// It carries no session cookie, or one that does not open: that one may belong to another
    /// appliance on the same host, and is left alone.
    NoCookie,
    /// It carries the cookie of a session that has ended.
    StaleCookie,
    /// It carries the cookies of several sessions: at least one of them was planted.
    Disputed(Dispute),
}

/// How many sessions a request may name before the rest is not looked at.
const MAX_DISPUTED: usize = 8;

impl Found {
    pub(crate) fn id(&self) -> Option<SessionId> {
        match self {
            Self::Live(session, _) => Some(session.id),
            Self::Sealed(ticket) => Some(ticket.id),
            Self::Nobody(_) => None,
        }
    }
}

impl Sessions {
    /// The session of a request. A request with the cookies of several sessions has none.
    pub(crate) fn find(&self, headers: &HeaderMap, now: Millis) -> Found {
        the_one_session(self.find_all(headers, now))
    }

    /// The session of a frame of another site, by the cookie of its app.
    pub(crate) fn find_in_frame(
        &self,
        headers: &HeaderMap,
        cookie: &EmbedCookie,
        now: Millis,
    ) -> Found {
        let texts = cookies::named(headers, &cookie.name);
        the_one_session(texts.map(|text| {
            let ticket = Ticket::open_for_frames(text, &self.keyring, &self.cookies, cookie);
            ticket.map_or(Found::Nobody(Nobody::NoCookie), |ticket| self.of_ticket(ticket, now))
        }))
    }

    /// The ids of the sessions whose cookies a request carries.
    pub(crate) fn ids(&self, headers: &HeaderMap, now: Millis) -> Vec<SessionId> {
        let ids = self.find_all(headers, now).filter_map(|found| found.id());
        ids.take(MAX_DISPUTED).collect()
    }

    /// What each session cookie of a request stands for. The number is limited only by the size of
    /// the request: a lower limit would let an attacker hide the victim's cookie behind many copies
    /// of his own.
    pub(crate) fn find_all<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: Millis,
    ) -> impl Iterator<Item = Found> + 'a {
        let texts = cookies::named(headers, &self.cookies.session);
        texts.map(move |text| self.look_up(text, now))
    }

    fn look_up(&self, text: &[u8], now: Millis) -> Found {
        let known = self.table.lock().by_cookie(text);
        if let Some((cookie, session)) = known {
            return self.check_limits(session, Some(&cookie), now);
        }
        let ticket = Ticket::open(text, &self.keyring, &self.cookies);
        ticket.map_or(Found::Nobody(Nobody::NoCookie), |ticket| self.of_ticket(ticket, now))
    }

    /// What a ticket stands for.
    fn of_ticket(&self, ticket: Ticket, now: Millis) -> Found {
        let stale = Found::Nobody(Nobody::StaleCookie);
        let is_expired = now >= self.expiry(ticket.signed_in, ticket.until);
        if is_expired || self.has_ended(&ticket, ticket.began()) {
            return stale;
        }
        let known = self.table.lock().by_id(ticket.id);
        match known {
            Some(session) => self.check_limits(session, None, now),
            None if self.idle.as_ref().is_some_and(|idle| idle.is_over(&ticket, now)) => {
                self.end_ticket_now(&ticket, EndReason::Idle);
                stale
            }
            None => Found::Sealed(ticket),
        }
    }

    /// The session with this id, if it is in memory and in force.
    pub(crate) fn by_id(&self, id: SessionId, now: Millis) -> Option<Arc<Session>> {
        let known = self.table.lock().by_id(id);
        known.filter(|session| self.is_in_force(session, now))
    }

    /// Whether the session goes on. Ends it if a limit has been reached.
    fn is_in_force(&self, session: &Arc<Session>, now: Millis) -> bool {
        if let Some(reason) = self.limit_reached(session, now) {
            self.end_now(session, reason);
        }
        !session.is_over()
    }

    /// Ends the session if a limit has been reached. `sent` is the cookie of the request, if the
    /// table knows it.
    fn check_limits(
        &self,
        session: Arc<Session>,
        sent: Option<&Arc<SealedCookie>>,
        now: Millis,
    ) -> Found {
        if !self.is_in_force(&session, now) {
            return Found::Nobody(Nobody::StaleCookie);
        }
        let grant = session.grant();
        let newest = &grant.cookie;
        if sent.is_some_and(|sent| Arc::ptr_eq(sent, newest)) {
            if !session.is_kept_for_frames() {
                self.cookie_arrived(session.id, newest);
            }
            drop(grant);
            return Found::Live(session, None);
        }
        let header = newest.header.clone();
        drop(grant);
        Found::Live(session, Some(header))
    }

    /// The browser has sent the newest cookie, so the ledger need not keep its proof any longer.
    fn cookie_arrived(&self, id: SessionId, cookie: &SealedCookie) {
        if cookie.in_ledger.load(Ordering::Relaxed)
            && cookie.in_ledger.swap(false, Ordering::Relaxed)
        {
            let ledger = self.ledger.clone();
            self.tasks.spawn_blocking(move || ledger.forget_proof(id));
        }
    }
}

/// What the cookies of a request stand for together: those of several sessions are in dispute.
fn the_one_session(each: impl Iterator<Item = Found>) -> Found {
    let mut first: Option<(SessionId, Found)> = None;
    let mut nobody = Nobody::NoCookie;
    let mut others = Vec::new();
    for found in each {
        match (found.id(), &first) {
            (None, _) => {
                if let Found::Nobody(Nobody::StaleCookie) = found {
                    nobody = Nobody::StaleCookie;
                }
            }
            (Some(id), None) => first = Some((id, found)),
            (Some(id), Some((known, _))) if id != *known && !others.contains(&id) => {
                others.push(id);
            }
            _ => {}
        }
        if others.len() == MAX_DISPUTED {
            break;
        }
    }
    match first {
        None => Found::Nobody(nobody),
        Some((_, found)) if others.is_empty() => found,
        Some((id, _)) => {
            others.push(id);
            Found::Nobody(Nobody::Disputed(Dispute(others)))
        }
    }
}
