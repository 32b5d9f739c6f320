//! The right to renew a session: one at a time.

use std::collections::HashSet;
use std::sync::Arc;

use crate::auth::runtime::Mutex;
use crate::auth::session::SessionId;

/// The sessions of this process that are being renewed.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashSet<SessionId>>);

/// The right to use the refresh token of one session. Dropping it gives the right back.
#[derive(Debug)]
pub(crate) struct Lease {
    id: SessionId,
    leases: Arc<Leases>,
}

impl Leases {
    /// `None` while somebody else has the right.
    pub(super) fn take(self: &Arc<Self>, id: SessionId) -> Option<Lease> {
        self.0.lock().insert(id).then(|| Lease { id, leases: Arc::clone(self) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.0.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_renews_a_session() {
        let (leases, id) = (Arc::new(Leases::default()), SessionId::random());
        let first = leases.take(id);
        assert!(first.is_some() && leases.take(id).is_none());
        assert!(leases.take(SessionId::random()).is_some());
        drop(first);
        assert!(leases.take(id).is_some());
    }
}
