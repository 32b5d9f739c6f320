//! The sessions in memory, indexed by id and by cookie value.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::session::{SealedCookie, Session, SessionId};

/// The sessions in force.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_cookie: HashMap<CookieTag, (Arc<SealedCookie>, Arc<Session>)>,
    by_id: HashMap<SessionId, Entry>,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// Keys in `by_cookie`: the newest cookie and the one before.
    cookies: [Option<CookieTag>; 2],
}

/// The last characters of a cookie's value. They encode the cipher's authentication tag, so they
/// identify the whole value as well as a hash would.
type CookieTag = [u8; 22];

impl Table {
    /// The session whose cookie has exactly this value.
    pub(super) fn by_cookie(&self, text: &[u8]) -> Option<(Arc<SealedCookie>, Arc<Session>)> {
        let (cookie, session) = self.by_cookie.get(&tag(text)?)?;
        (cookie.text.as_bytes() == text).then(|| (cookie.clone(), session.clone()))
    }

    pub(super) fn by_id(&self, id: SessionId) -> Option<Arc<Session>> {
        self.by_id.get(&id).map(|entry| entry.session.clone())
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.by_id.values().map(|entry| &entry.session)
    }

    /// Adds a session that the table does not have, with its first cookie.
    pub(super) fn insert(&mut self, session: &Arc<Session>, cookie: Arc<SealedCookie>) {
        self.by_id.insert(session.id, Entry { session: session.clone(), cookies: [None; 2] });
        self.add_cookie(session, cookie);
    }

    /// Makes `cookie` the session's newest one. The one before stays known for requests that are
    /// already under way; still older ones are forgotten and would be decrypted again.
    pub(super) fn add_cookie(&mut self, session: &Arc<Session>, cookie: Arc<SealedCookie>) {
        let Some(tag) = tag(cookie.text.as_bytes()) else { return };
        let Some(entry) = self.by_id.get_mut(&session.id) else { return };
        if entry.cookies[0] == Some(tag) {
            return;
        }
        let [newest, oldest] = entry.cookies;
        entry.cookies = [Some(tag), newest];
        if let Some(oldest) = oldest {
            self.by_cookie.remove(&oldest);
        }
        self.by_cookie.insert(tag, (cookie, session.clone()));
    }

    /// Removes a session and its cookies.
    pub(super) fn remove(&mut self, id: SessionId) {
        for tag in self.by_id.remove(&id).into_iter().flat_map(|entry| entry.cookies).flatten() {
            self.by_cookie.remove(&tag);
        }
    }
}

fn tag(text: &[u8]) -> Option<CookieTag> {
    text.last_chunk().copied()
}
