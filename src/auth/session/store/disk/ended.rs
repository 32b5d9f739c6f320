//! The ids of sessions that ended before their lifetime was over, each until its cookie would have
//! expired anyway.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

use crate::auth::session::SessionId;

/// Ended sessions, or whatever else `K` names, ordered by the second (since 1970) from which on they are forgotten. Adding one
/// costs no walk over the others.
#[derive(Debug)]
pub(crate) struct Ended<K = SessionId> {
    ids: HashSet<K>,
    by_expiry: BTreeSet<(u64, K)>,
}

impl<K> Default for Ended<K> {
    fn default() -> Self {
        Self { ids: HashSet::new(), by_expiry: BTreeSet::new() }
    }
}

impl<K: Copy + Ord + Hash> Ended<K> {
    pub(crate) fn contains(&self, id: K) -> bool {
        self.ids.contains(&id)
    }

    /// Adds a session until the second `until`, and forgets those that have expired at `now`. Returns
    /// `false` if it was there.
    pub(crate) fn insert(&mut self, id: K, until: u64, now: u64) -> bool {
        while let Some(&(expiry, expired)) = self.by_expiry.first()
            && expiry <= now
        {
            self.by_expiry.pop_first();
            self.ids.remove(&expired);
        }
        if self.ids.contains(&id) {
            return false;
        }
        if until > now {
            self.ids.insert(id);
            self.by_expiry.insert((until, id));
        }
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The sessions with their seconds, the earliest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, u64)> {
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
