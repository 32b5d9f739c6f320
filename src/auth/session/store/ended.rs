//! The ids of sessions that ended before their lifetime was over, each until its cookie would have
//! expired anyway.

use std::collections::{BTreeSet, HashSet};

use crate::auth::session::SessionId;

/// Ended sessions, ordered by the second (since 1970) from which on they are forgotten. Adding one
/// costs no walk over the others.
#[derive(Debug, Default)]
pub(super) struct Ended {
    ids: HashSet<SessionId>,
    by_expiry: BTreeSet<(u64, SessionId)>,
}

impl Ended {
    pub(super) fn contains(&self, id: SessionId) -> bool {
        self.ids.contains(&id)
    }

    /// Adds a session until the second `until`, and forgets those that have expired at `now`.
    pub(super) fn insert(&mut self, id: SessionId, until: u64, now: u64) {
        while let Some(&(expiry, expired)) = self.by_expiry.first()
            && expiry <= now
        {
            self.by_expiry.pop_first();
            self.ids.remove(&expired);
        }
        if until > now && self.ids.insert(id) {
            self.by_expiry.insert((until, id));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The sessions with their seconds, the earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, u64)> {
        self.by_expiry.iter().map(|(until, id)| (*id, *until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_forgotten_when_its_cookie_expires() {
        let [first, second, late] = [(); 3].map(|()| SessionId::random());
        let mut ended = Ended::default();
        ended.insert(second, 20, 5);
        ended.insert(first, 10, 5);
        ended.insert(first, 10, 5);
        ended.insert(late, 5, 5);
        assert_eq!(ended.iter().collect::<Vec<_>>(), [(first, 10), (second, 20)]);
        assert!(!ended.contains(late));
        ended.insert(late, 30, 10);
        assert!(!ended.contains(first) && ended.contains(second) && ended.contains(late));
        assert_eq!(ended.len(), 2);
    }
}
