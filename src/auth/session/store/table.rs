//! The sessions in memory, indexed by id, by cookie value and by person.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::session::{SealedCookie, Session, SessionId};

/// How many sessions one person may have at a time, so that a person who signs in again and again
/// does not use up the memory.
pub(super) const MAX_PER_PERSON: usize = 32;

/// The sessions in force.
#[derive(Debug, Default)]
pub(super) struct Table {
    cookies: HashMap<CookieTag, (Arc<SealedCookie>, Arc<Session>)>,
    entries: HashMap<SessionId, Entry>,
    /// By `sub`; a subject without a session has no entry.
    people: HashMap<Arc<str>, Vec<Arc<Session>>>,
    /// By the session of the issuer (`sid`).
    issuer_sessions: HashMap<Arc<str>, Vec<Arc<Session>>>,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// Keys in `Table::cookies`: the newest cookie and the one before.
    cookies: [Option<CookieTag>; 2],
}

/// The last characters of a cookie's value. They encode the cipher's authentication tag, so they
/// identify the whole value as well as a hash would.
type CookieTag = [u8; 22];

impl Table {
    /// The session whose cookie has exactly this value.
    pub(super) fn by_cookie(&self, text: &[u8]) -> Option<(Arc<SealedCookie>, Arc<Session>)> {
        let (cookie, session) = self.cookies.get(&tag(text)?)?;
        (cookie.text.as_bytes() == text).then(|| (cookie.clone(), session.clone()))
    }

    pub(super) fn by_id(&self, id: SessionId) -> Option<Arc<Session>> {
        self.entries.get(&id).map(|entry| entry.session.clone())
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.entries.values().map(|entry| &entry.session)
    }

    /// The sessions of one person.
    pub(super) fn of_subject(&self, subject: &str) -> &[Arc<Session>] {
        self.people.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The sessions that belong to one session of the issuer.
    pub(super) fn of_issuer_session(&self, sid: &str) -> &[Arc<Session>] {
        self.issuer_sessions.get(sid).map_or(&[], Vec::as_slice)
    }

    /// Adds a session that the table does not have, with its first cookie. Returns the session of
    /// the same person that has to end because there are more than [`MAX_PER_PERSON`]: the one
    /// whose login is the longest ago. The new one stays: somebody uses it now.
    pub(super) fn insert(
        &mut self,
        session: &Arc<Session>,
        cookie: Arc<SealedCookie>,
    ) -> Option<Arc<Session>> {
        self.entries.insert(session.id, Entry { session: session.clone(), cookies: [None; 2] });
        self.add_cookie(session, cookie);
        if let Some(sid) = &session.sid {
            self.issuer_sessions.entry(sid.clone()).or_default().push(session.clone());
        }
        let theirs = self.people.entry(session.subject.clone()).or_default();
        let surplus = theirs.len() >= MAX_PER_PERSON;
        let oldest = theirs.iter().min_by_key(|one| one.signed_in).filter(|_| surplus).cloned();
        theirs.push(session.clone());
        oldest
    }

    /// Makes `cookie` the session's newest one. The one before stays known for requests that are
    /// already under way; still older ones are forgotten and would be decrypted again.
    pub(super) fn add_cookie(&mut self, session: &Arc<Session>, cookie: Arc<SealedCookie>) {
        let Some(tag) = tag(cookie.text.as_bytes()) else { return };
        let Some(entry) = self.entries.get_mut(&session.id) else { return };
        if entry.cookies[0] == Some(tag) {
            return;
        }
        let [newest, oldest] = entry.cookies;
        entry.cookies = [Some(tag), newest];
        if let Some(oldest) = oldest {
            self.cookies.remove(&oldest);
        }
        self.cookies.insert(tag, (cookie, session.clone()));
    }

    /// Forgets the cookies that are not good.
    pub(super) fn forget_cookies_unless(&mut self, is_good: impl Fn(&SealedCookie) -> bool) {
        self.cookies.retain(|_, (cookie, _)| is_good(cookie));
    }

    /// Removes a session and its cookies.
    pub(super) fn remove(&mut self, id: SessionId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        for tag in entry.cookies.into_iter().flatten() {
            self.cookies.remove(&tag);
        }
        forget(&mut self.people, &entry.session.subject, id);
        if let Some(sid) = &entry.session.sid {
            forget(&mut self.issuer_sessions, sid, id);
        }
    }
}

fn forget(index: &mut HashMap<Arc<str>, Vec<Arc<Session>>>, key: &str, id: SessionId) {
    if let Some(theirs) = index.get_mut(key) {
        theirs.retain(|one| one.id != id);
        if theirs.is_empty() {
            index.remove(key);
        }
    }
}

fn tag(text: &[u8]) -> Option<CookieTag> {
    text.last_chunk().copied()
}
