//! The file descriptors that clients can cause, in one counter.
//!
//! An open client connection holds two: its own, and one for what its request opens, which is a
//! connection to an app or to the issuer, or a file. On HTTP/2, each further request at the same time holds one more;
//! such requests get half of the descriptors at most, so that they leave room for other clients, and those
//! of one client get half of these. What is left is for idle connections to apps, which the pools give up
//! as soon as clients need the room. The counter is shared by all workers; only further requests take a
//! lock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// What one client connection holds.
pub(crate) const PER_CLIENT: usize = 2;
/// One connection gets this part of the further requests, so that a few do not take all of them.
const SHARES: usize = 8;
/// What it gets at least.
const LEAST_SHARE: usize = 8;
/// How long a client waits for room. The worker thread that has to make room may be busy.
const ROOM_TIMEOUT: Duration = Duration::from_millis(100);

/// The counter.
#[derive(Debug)]
pub(crate) struct Descriptors {
    limit: AtomicUsize,
    most_requests: AtomicUsize,
    held: AtomicUsize,
    /// Those of `held` that belong to further requests.
    requests: AtomicUsize,
    /// The same for each client that has some.
    requests_of: Mutex<HashMap<Network, usize>>,
    /// How often a descriptor could not be opened.
    exhaustions: AtomicUsize,
    /// The pools have to give up idle connections.
    wanted: Notify,
    /// Descriptors were given back.
    freed: Notify,
}

/// The network of a client; `None` on a unix socket.
pub(crate) type Network = Option<IpAddr>;

/// Descriptors that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    count: usize,
    /// It belongs to a further request of a connection of this client.
    request_of: Option<Network>,
    descriptors: Arc<Descriptors>,
}

/// What a pool has seen of the exhaustions. A pool gives up everything after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhaustions(usize);

impl Descriptors {
    /// Nothing can be held idle before [`Self::set_limit`].
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(0),
            most_requests: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            requests_of: Mutex::default(),
            exhaustions: AtomicUsize::new(0),
            wanted: Notify::new(),
            freed: Notify::new(),
        })
    }

    /// Limits what is held from now on. What is held already stays. There are at most as many further
    /// requests as `clients`.
    pub(crate) fn set_limit(&self, limit: usize, clients: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.most_requests.store(clients.min(limit / 2), Ordering::Relaxed);
        self.want_room();
    }

    /// Counts an open client connection. The limit of client connections keeps these below the limit;
    /// [`Self::room`] waits until idle connections have made room.
    pub(crate) fn hold_client(self: &Arc<Self>) -> Held {
        self.held.fetch_add(PER_CLIENT, Ordering::AcqRel);
        self.want_room();
        self.held(PER_CLIENT)
    }

    /// Counts a further request of a connection that has `others` already; [`Self::room`] waits for its room.
    /// `None` if there are too many: in all, of this client, or of this connection.
    pub(crate) fn try_hold_request(
        self: &Arc<Self>,
        others: usize,
        client: Network,
    ) -> Option<Held> {
        let most = self.most_requests.load(Ordering::Relaxed);
        if others > (most / SHARES).max(LEAST_SHARE) {
            return None;
        }
        {
            let mut requests_of = self.requests_of();
            if requests_of.get(&client).is_some_and(|count| *count >= (most / 2).max(LEAST_SHARE)) {
                return None;
            }
            let more = |requests: usize| (requests < most).then_some(requests + 1);
            self.requests.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
            *requests_of.entry(client).or_default() += 1;
        }
        self.held.fetch_add(1, Ordering::AcqRel);
        let held = Held { count: 1, request_of: Some(client), descriptors: Arc::clone(self) };
        self.want_room();
        Some(held)
    }

    fn requests_of(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.requests_of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many client connections the further requests leave room for.
    pub(crate) fn most_clients(&self) -> usize {
        let limit = self.limit.load(Ordering::Relaxed);
        limit.saturating_sub(self.requests.load(Ordering::Acquire)) / PER_CLIENT
    }

    fn held(self: &Arc<Self>, count: usize) -> Held {
        Held { count, request_of: None, descriptors: Arc::clone(self) }
    }

    /// Counts an idle connection, if the clients leave room for one.
    pub(crate) fn try_hold_idle(self: &Arc<Self>) -> Option<Held> {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |held: usize| (held < limit).then_some(held + 1);
        let held = self.held.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more);
        held.is_ok().then(|| self.held(1))
    }

    /// Whether idle connections must be given up.
    pub(crate) fn is_short(&self) -> bool {
        self.held.load(Ordering::Acquire) > self.limit.load(Ordering::Relaxed)
    }

    fn want_room(&self) {
        if self.is_short() {
            self.wanted.notify_waiters();
        }
    }

    /// Waits until idle connections have made room, for a short time at most.
    pub(crate) async fn room(&self) {
        let free = async {
            loop {
                let freed = self.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if !self.is_short() {
                    return;
                }
                freed.await;
            }
        };
        if self.is_short() {
            // Afterwards the reserve for the appliance itself has to do.
            let _ = timeout(ROOM_TIMEOUT, free).await;
        }
    }

    /// Waits until a pool has to give up connections: because clients need the room, or because there was
    /// an exhaustion since `seen`.
    pub(crate) async fn until_wanted(&self, seen: Exhaustions) {
        let wanted = self.wanted.notified();
        tokio::pin!(wanted);
        wanted.as_mut().enable();
        if !self.is_short() && self.exhaustions() == seen {
            wanted.await;
        }
    }

    pub(crate) fn exhaustions(&self) -> Exhaustions {
        Exhaustions(self.exhaustions.load(Ordering::Acquire))
    }

    /// A descriptor could not be opened, which the counter should have prevented: another part of the
    /// process holds more than its reserve. All pools give up everything. Waits a moment for that.
    pub(crate) async fn exhausted(&self) {
        let freed = self.freed.notified();
        tokio::pin!(freed);
        freed.as_mut().enable();
        self.exhaustions.fetch_add(1, Ordering::AcqRel);
        self.wanted.notify_waiters();
        let _ = timeout(ROOM_TIMEOUT, freed).await;
    }

    /// A pool has followed [`Self::exhausted`].
    pub(crate) fn gave_up(&self) {
        self.freed.notify_waiters();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self { count, request_of, descriptors } = self;
        if let Some(client) = request_of {
            let mut requests_of = descriptors.requests_of();
            descriptors.requests.fetch_sub(1, Ordering::AcqRel);
            if let Entry::Occupied(mut own) = requests_of.entry(*client) {
                *own.get_mut() -= 1;
                if *own.get() == 0 {
                    own.remove();
                }
            }
        }
        let before = descriptors.held.fetch_sub(*count, Ordering::AcqRel);
        if before > descriptors.limit.load(Ordering::Relaxed) {
            descriptors.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: usize) -> Arc<Descriptors> {
        let descriptors = Descriptors::new();
        descriptors.set_limit(limit, limit);
        descriptors
    }

    #[test]
    fn idle_connections_get_what_clients_leave() {
        for (limit, clients, idle) in [(8, 0, 8), (8, 1, 6), (8, 3, 2), (8, 4, 0), (9, 4, 1)] {
            let descriptors = limited(limit);
            let clients: Vec<_> = (0..clients).map(|_| descriptors.hold_client()).collect();
            let pool: Vec<_> = std::iter::from_fn(|| descriptors.try_hold_idle()).collect();
            assert_eq!(pool.len(), idle, "{limit}");
            assert!(!descriptors.is_short());
            drop(clients);
            assert!(descriptors.try_hold_idle().is_some() || idle == limit, "{limit}");
        }
    }

    #[tokio::test]
    async fn a_client_gets_its_room_from_idle_connections() {
        let descriptors = limited(4);
        let mut pool: Vec<_> = std::iter::from_fn(|| descriptors.try_hold_idle()).collect();
        let seen = descriptors.exhaustions();
        let giving = tokio::spawn({
            let descriptors = Arc::clone(&descriptors);
            async move {
                descriptors.until_wanted(seen).await;
                while descriptors.is_short() {
                    pool.pop();
                }
                pool
            }
        });
        tokio::task::yield_now().await;
        let client = descriptors.hold_client();
        descriptors.room().await;
        assert!(!descriptors.is_short());
        assert_eq!(giving.await.unwrap().len(), 2);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_does_not_wait_for_a_pool_that_gives_nothing_up() {
        let descriptors = limited(2);
        let _pool: Vec<_> = std::iter::from_fn(|| descriptors.try_hold_idle()).collect();
        let _client = descriptors.hold_client();
        descriptors.room().await;
        assert!(descriptors.is_short());
    }

    #[tokio::test]
    async fn further_requests_leave_room_for_clients() {
        let descriptors = limited(8);
        assert_eq!(descriptors.most_clients(), 4);
        let mut requests = Vec::new();
        for client in 1.. {
            let client = Some(IpAddr::from([10, 0, 0, client]));
            let Some(held) = descriptors.try_hold_request(1, client) else { break };
            requests.push(held);
        }
        assert_eq!((requests.len(), descriptors.most_clients()), (4, 2));
        let client = descriptors.hold_client();
        let idle: Vec<_> = std::iter::from_fn(|| descriptors.try_hold_idle()).collect();
        assert_eq!(idle.len(), 2);
        drop(idle);
        drop(client);
        requests.pop();
        assert!(descriptors.try_hold_request(1, None).is_some());
        requests.clear();
        assert_eq!(descriptors.most_clients(), 4);
    }

    #[tokio::test]
    async fn one_connection_does_not_take_all_further_requests() {
        for (limit, clients, others, admitted) in [
            (1000, 1000, 62, true),
            (1000, 1000, 63, false),
            (1000, 160, 20, true),
            (1000, 160, 21, false),
            (8, 4, 8, true),
            (8, 4, 9, false),
        ] {
            let descriptors = Descriptors::new();
            descriptors.set_limit(limit, clients);
            let held = descriptors.try_hold_request(others, None);
            assert_eq!(held.is_some(), admitted, "{limit} {clients} {others}");
        }
    }

    #[tokio::test]
    async fn one_client_gets_half_of_the_further_requests() {
        let descriptors = limited(100);
        let client = |last| Some(IpAddr::from([10, 0, 0, last]));
        let mut held = Vec::new();
        // From as many connections as it likes.
        while let Some(one) = descriptors.try_hold_request(1, client(1)) {
            held.push(one);
        }
        assert_eq!(held.len(), 25);
        assert!(descriptors.try_hold_request(1, client(2)).is_some());
        held.pop();
        assert!(descriptors.try_hold_request(1, client(1)).is_some());
        drop(held);
        assert!(descriptors.requests_of().is_empty());
    }

    #[tokio::test]
    async fn an_exhaustion_empties_all_pools() {
        let descriptors = limited(100);
        let seen = descriptors.exhaustions();
        let pools = [(); 2].map(|()| {
            let descriptors = Arc::clone(&descriptors);
            tokio::spawn(async move {
                descriptors.until_wanted(seen).await;
                descriptors.gave_up();
            })
        });
        descriptors.exhausted().await;
        for pool in pools {
            pool.await.unwrap();
        }
    }
}
