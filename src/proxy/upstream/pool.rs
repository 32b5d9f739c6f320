//! The pool of idle connections to apps.
//!
//! Each worker thread has its own pool, so no lock is needed. An idle connection is kept for
//! [`IDLE_TIMEOUT`], which is less than the five seconds after which common app servers close theirs.
//! The pools of all workers hold no more descriptors than the open client connections leave.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::app_connection::AppConnection;
use crate::config::Upstream;
use crate::proxy::socket::descriptors::{Descriptors, Exhaustions, Held};

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Most idle connections of one worker. A further one replaces the oldest.
const MAX_IDLE: usize = 256;

/// The idle connections of one worker.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Oldest first.
    idle: RefCell<Vec<Idle>>,
    /// The task that closes idle connections is running.
    sweeping: Cell<bool>,
    descriptors: Arc<Descriptors>,
}

/// An idle connection, and its descriptor in the counter.
type Idle = (Box<AppConnection>, Held);

impl Pool {
    /// An empty pool, which shares the counter with all other pools.
    pub(crate) fn new(descriptors: Arc<Descriptors>) -> Self {
        Self { idle: RefCell::default(), sweeping: Cell::new(false), descriptors }
    }

    /// Takes the newest idle connection to an address that is still open. `incarnation`: the process
    /// of the app. After a reload, another one may have the address, while the earlier one still
    /// serves its connections.
    pub(super) fn take(&self, upstream: &Upstream, incarnation: u64) -> Option<Box<AppConnection>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|(connection, _)| {
                *connection.upstream == *upstream && connection.incarnation == incarnation
            })?;
            let (mut connection, _) = idle.remove(at);
            if connection.idle_since.elapsed() < IDLE_TIMEOUT
                && !connection.is_outdated()
                && connection.is_reusable()
            {
                connection.reused = true;
                return Some(connection);
            }
        }
    }

    /// Returns a connection to the pool after the end of its response. [`Self::take`] checks whether
    /// the connection can be used again.
    pub(super) fn put_back(self: &Rc<Self>, mut connection: Box<AppConnection>) {
        if connection.is_used_up() {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let room = self.descriptors.try_hold_idle().filter(|_| idle.len() < MAX_IDLE);
        let held = room.or_else(|| {
            if !idle.is_empty() {
                idle.remove(0);
            }
            self.descriptors.try_hold_idle()
        });
        let Some(held) = held else { return };
        idle.push((connection, held));
        if !self.sweeping.replace(true) {
            let seen = self.descriptors.exhaustions();
            tokio::task::spawn_local(Rc::clone(self).sweep(seen));
        }
    }

    /// Waits until no descriptor is held by an idle connection, after one could not be opened.
    pub(super) async fn empty_all(&self) {
        self.descriptors.exhausted().await;
    }

    /// Closes connections that have been idle for too long, and those whose descriptors are needed. Ends
    /// when the pool is empty. `seen`: the exhaustions before its first connection.
    async fn sweep(self: Rc<Self>, mut seen: Exhaustions) {
        while let Some(oldest) = self.oldest() {
            tokio::select! {
                () = tokio::time::sleep_until(oldest + IDLE_TIMEOUT) => {}
                () = self.descriptors.until_wanted(seen) => {}
            }
            seen = self.give_up(seen);
        }
        self.sweeping.set(false);
    }

    fn give_up(&self, seen: Exhaustions) -> Exhaustions {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(connection, _)| connection.idle_since.elapsed() < IDLE_TIMEOUT);
        while self.descriptors.is_short() && !idle.is_empty() {
            idle.remove(0);
        }
        let exhaustions = self.descriptors.exhaustions();
        if exhaustions != seen {
            idle.clear();
            self.descriptors.gave_up();
        }
        exhaustions
    }

    fn oldest(&self) -> Option<Instant> {
        self.idle.borrow().first().map(|(connection, _)| connection.idle_since)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;
    use crate::config::Dial;
    use crate::proxy::upstream::app_connection::MAX_AGE;

    /// A pool, and what clients hold of its counter.
    fn pool(limit: usize, clients: usize) -> (Rc<Pool>, Arc<Descriptors>, Vec<Held>) {
        let descriptors = Descriptors::new();
        descriptors.set_limit(limit, limit);
        let clients = (0..clients).map(|_| descriptors.hold_client()).collect();
        (Rc::new(Pool::new(Arc::clone(&descriptors))), descriptors, clients)
    }

    /// Puts `count` new connections to `listener` into the pool.
    async fn fill(pool: &Rc<Pool>, listener: &TcpListener, count: usize) -> Upstream {
        let dial = Dial::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
        let upstream = Upstream::new(dial);
        for _ in 0..count {
            pool.put_back(AppConnection::open(&upstream, None).await.unwrap());
        }
        upstream
    }

    async fn until_idle(pool: &Pool, count: usize) {
        while pool.idle.borrow().len() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_pool_holds_what_the_clients_leave() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        LocalSet::new()
            .run_until(async {
                for (limit, clients, kept) in [(10, 0, 5), (10, 3, 4), (10, 5, 0)] {
                    let (pool, _, _clients) = pool(limit, clients);
                    fill(&pool, &listener, 5).await;
                    assert_eq!(pool.idle.borrow().len(), kept, "{limit} {clients}");
                }
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_to_a_name_is_used_for_a_bounded_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let in_use = async |host: &str| {
            let (pool, _, _) = pool(4, 0);
            let upstream = Upstream::new(Dial::Tcp(host.into(), port));
            let began = Instant::now();
            pool.put_back(AppConnection::open(&upstream, None).await.unwrap());
            while let Some(taken) = pool.take(&upstream, 0)
                && began.elapsed() < 2 * MAX_AGE
            {
                pool.put_back(taken);
                tokio::time::advance(IDLE_TIMEOUT / 2).await;
            }
            began.elapsed()
        };
        LocalSet::new()
            .run_until(async {
                assert!(in_use("localhost").await <= MAX_AGE + IDLE_TIMEOUT);
                assert!(in_use("127.0.0.1").await >= 2 * MAX_AGE, "an address stays the same");
            })
            .await;
    }

    #[tokio::test]
    async fn a_new_client_gets_the_descriptors_of_idle_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        LocalSet::new()
            .run_until(async {
                let (pool, descriptors, _) = pool(4, 0);
                fill(&pool, &listener, 4).await;
                let _client = descriptors.hold_client();
                until_idle(&pool, 2).await;
                assert!(!descriptors.is_short());
            })
            .await;
    }

    #[tokio::test]
    async fn an_exhaustion_empties_the_pool_and_a_taken_connection_is_not_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        LocalSet::new()
            .run_until(async {
                let (pool, descriptors, _) = pool(4, 0);
                let upstream = fill(&pool, &listener, 4).await;
                let taken = pool.take(&upstream, 0).unwrap();
                assert!(descriptors.try_hold_idle().is_some(), "its descriptor is free");
                pool.empty_all().await;
                until_idle(&pool, 0).await;
                pool.put_back(taken);
                assert!(pool.take(&upstream, 0).is_some(), "the pool is used again");
            })
            .await;
    }
}
