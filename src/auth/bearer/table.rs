//! The tokens that were verified, by their digest.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::{Digest, digest_of};
use super::ended::Ended;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::Session;

/// How many tokens are remembered. A token that is not is verified again.
const MAX: usize = 4096;

/// The tokens that were verified.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<Digest, Entry>,
    /// Tokens that were ended with the sessions of their person.
    ended: Ended,
    /// Another configuration has replaced this one: what is added now ends at once.
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    /// When the issuer has to be asked about the token again.
    trusted_until: Millis,
}

impl Table {
    /// The session of a token that needs no verification now.
    pub(super) fn trusted(&self, digest: &Digest, now: Millis) -> Option<Arc<Session>> {
        let entry = self.entries.get(digest)?;
        let is_trusted = now < entry.trusted_until && now < entry.session.ends();
        (is_trusted && !entry.session.is_over()).then(|| Arc::clone(&entry.session))
    }

    /// The session of a token, also if it has to be verified again.
    pub(super) fn known(&self, digest: &Digest) -> Option<Arc<Session>> {
        self.entries.get(digest).map(|entry| Arc::clone(&entry.session))
    }

    /// Remembers a token that was verified.
    pub(super) fn insert(
        &mut self,
        digest: Digest,
        session: Arc<Session>,
        trusted_until: Millis,
        now: Millis,
    ) {
        if self.entries.len() >= MAX && !self.entries.contains_key(&digest) {
            self.make_room(now);
        }
        if self.closed {
            session.end();
        }
        self.entries.insert(digest, Entry { session, trusted_until });
    }

    /// Forgets what has ended, or else a token without an open transfer. A session with one stays: it
    /// has to end with its token.
    fn make_room(&mut self, now: Millis) {
        self.end_expired(now);
        if self.entries.len() >= MAX {
            // A request under way may still open a transfer.
            let idle = self.entries.iter().find(|(_, entry)| {
                !entry.session.has_tunnels() && Arc::strong_count(&entry.session) == 1
            });
            if let Some(digest) = idle.map(|(digest, _)| *digest) {
                self.entries.remove(&digest);
            }
        }
    }

    /// Forgets a token, and ends its session.
    pub(super) fn end(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            entry.session.end();
        }
    }

    /// Forgets all tokens, and ends their sessions and all that are added later.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for (_, entry) in self.entries.drain() {
            entry.session.end();
        }
    }

    /// Ends the sessions whose token has expired.
    pub(super) fn end_expired(&mut self, now: Millis) {
        self.entries.retain(|_, entry| {
            let lives = now < entry.session.ends();
            if !lives {
                entry.session.end();
            }
            lives
        });
        self.ended.forget_expired(now);
    }

    /// Ends the sessions of these people, and remembers their tokens.
    pub(super) fn end_with_people(&mut self, is_over: impl Fn(&Session) -> bool, now: Millis) {
        for (digest, entry) in self.entries.extract_if(|_, entry| is_over(&entry.session)) {
            let subject = digest_of(entry.session.subject());
            self.ended.add(digest, subject, entry.session.ends(), now);
            entry.session.end();
        }
    }

    /// Remembers what `before` remembers of ended tokens.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.ended.clone_from(&before.ended);
    }

    /// Whether a token was ended with the sessions of its person, or may have been: see [`Ended::may_have`]. One
    /// that is known and in force was not.
    pub(super) fn has_ended(
        &self,
        digest: &Digest,
        subject: &str,
        not_before: Option<Millis>,
    ) -> bool {
        let is_in_force = self.entries.get(digest).is_some_and(|entry| !entry.session.is_over());
        self.ended.has(digest)
            || !is_in_force && self.ended.may_have(&digest_of(subject), not_before)
    }

    /// When the next session ends, or the issuer has to be asked about one again.
    pub(super) fn next_review(&self) -> Option<Millis> {
        let review = |entry: &Entry| {
            let ends = entry.session.ends();
            if entry.session.has_tunnels() { ends.min(entry.trusted_until) } else { ends }
        };
        self.entries.values().map(review).min()
    }

    /// The sessions with an open transfer about which the issuer has to be asked again.
    pub(super) fn due(&self, now: Millis) -> Vec<(Digest, Arc<Session>)> {
        let due = self.entries.iter().filter(|(_, entry)| {
            now >= entry.trusted_until && entry.session.has_tunnels() && !entry.session.is_over()
        });
        due.map(|(digest, entry)| (*digest, Arc::clone(&entry.session))).collect()
    }
}
