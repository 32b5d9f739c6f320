//! Ends that reach sessions which are not in memory: all sessions of a person, or of a session of the
//! issuer, whose login was before a moment.
//!
//! After a restart a session is in its cookie only, and a login that is under way has none yet. Both
//! meet the mark when they would come into force.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::SessionId;

/// How long a mark is kept at least: an access token may live longer than a session.
const LEAST_KEPT: Duration = Duration::from_hours(24);

/// Whose sessions have ended: the digest of a name, so that each mark has the same small size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u128);

/// The marks. A newer one of the same key replaces the older one.
#[derive(Debug, Default)]
pub(crate) struct EndedBefore {
    marks: HashMap<Key, Mark>,
    /// Expired marks are removed when there are as many as this.
    review_at: usize,
}

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Sessions whose login began until then have ended.
    pub(crate) at: Millis,
    /// One session that goes on.
    pub(crate) except: Option<SessionId>,
}

impl Key {
    /// A session of the issuer (`sid`).
    pub(crate) fn issuer_session(sid: &str) -> Self {
        Self::of("sid", sid)
    }

    /// A person by `sub`.
    pub(crate) fn subject(subject: &str) -> Self {
        Self::of("sub", subject)
    }

    /// A person by the name that the apps learn.
    pub(crate) fn user(user: &str) -> Self {
        Self::of("user", user)
    }

    /// A logout token by its `jti`.
    pub(crate) fn token(id: &str) -> Self {
        Self::of("jti", id)
    }

    fn of(kind: &str, name: &str) -> Self {
        let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name);
        let digest: [u8; 32] = digest.finalize().into();
        digest.first_chunk().map_or(Self(0), |first| Self(u128::from_be_bytes(*first)))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then_some(Self(number))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// From when on marks are needed at `now`: older ones reach neither a session that lives for `lifetime` at
/// most nor a token.
pub(crate) fn oldest_needed(now: Millis, lifetime: Millis) -> Millis {
    now.saturating_sub(lifetime.max(clock::millis(LEAST_KEPT)))
}

impl EndedBefore {
    /// Adds a mark. Marks from before `oldest` reach no session any more.
    pub(crate) fn insert(&mut self, key: Key, mark: Mark, oldest: Millis) {
        if self.marks.len() >= self.review_at {
            self.marks.retain(|_, mark| mark.at >= oldest);
            self.review_at = 2 * self.marks.len() + 64;
        }
        let known = self.marks.entry(key).or_insert(mark);
        if known.at <= mark.at {
            *known = mark;
        }
    }

    /// Whether a session has ended whose login began at `began`.
    pub(crate) fn reaches(&self, key: Key, id: SessionId, began: Millis) -> bool {
        self.marks.get(&key).is_some_and(|mark| began <= mark.at && mark.except != Some(id))
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn lines(&self) -> String {
        self.marks.iter().map(|(key, mark)| line(*key, *mark)).collect()
    }

    /// The marks of a text that [`Self::lines`] or [`line`] wrote. Damaged lines are skipped.
    pub(crate) fn read(text: &str, oldest: Millis) -> Self {
        let mut all = Self::default();
        for (key, mark) in text.lines().filter_map(entry) {
            if mark.at >= oldest {
                all.insert(key, mark, oldest);
            }
        }
        all
    }
}

/// A mark as a line of its file.
pub(crate) fn line(key: Key, mark: Mark) -> String {
    match mark.except {
        Some(except) => format!("{key} {} {except}\n", mark.at),
        None => format!("{key} {}\n", mark.at),
    }
}

fn entry(line: &str) -> Option<(Key, Mark)> {
    let mut words = line.split(' ');
    let (key, at) = (Key::parse(words.next()?)?, words.next()?.parse().ok()?);
    let except = match words.next() {
        Some(except) => Some(SessionId::parse(except)?),
        None => None,
    };
    Some((key, Mark { at, except }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at: Millis) -> Mark {
        Mark { at, except: None }
    }

    #[test]
    fn a_mark_reaches_earlier_logins_of_its_name_only() {
        let (id, other) = (SessionId::random(), SessionId::random());
        let mut all = EndedBefore::default();
        all.insert(Key::subject("alice"), mark(1000), 0);
        assert!(all.reaches(Key::subject("alice"), id, 1000));
        assert!(!all.reaches(Key::subject("alice"), id, 1001));
        assert!(!all.reaches(Key::issuer_session("alice"), id, 1));
        assert!(!all.reaches(Key::subject("bob"), id, 1));
        all.insert(Key::subject("alice"), Mark { at: 2000, except: Some(id) }, 0);
        all.insert(Key::subject("alice"), mark(500), 0);
        assert!(!all.reaches(Key::subject("alice"), id, 1500));
        assert!(all.reaches(Key::subject("alice"), other, 1500));
    }

    #[test]
    fn marks_survive_in_their_file_and_damaged_lines_do_no_harm() {
        let (id, other) = (SessionId::random(), SessionId::random());
        let mut all = EndedBefore::default();
        all.insert(Key::issuer_session("s"), Mark { at: 70, except: Some(id) }, 0);
        all.insert(Key::subject("old"), mark(5), 0);
        let text = all.lines() + "x\n\n" + &line(Key::issuer_session("u"), mark(80)) + "0123 4";
        let again = EndedBefore::read(&text, 50);
        assert_eq!(again.len(), 2);
        assert!(again.reaches(Key::issuer_session("s"), other, 60));
        assert!(!again.reaches(Key::issuer_session("s"), id, 60));
        assert!(again.reaches(Key::issuer_session("u"), id, 80));
    }

    #[test]
    fn marks_that_reach_no_session_any_more_are_forgotten() {
        let mut all = EndedBefore::default();
        for at in 0..100_000_u64 {
            all.insert(Key::subject(&at.to_string()), mark(at), at.saturating_sub(10));
            assert!(all.len() <= 100, "{}", all.len());
        }
    }
}
