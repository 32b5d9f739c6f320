//! The pool of idle connections to apps.
//!
//! Each worker thread has its own pool, so no lock is needed. An idle connection is kept for
//! [`IDLE_TIMEOUT`], which is less than the five seconds after which common app servers close theirs.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::app_connection::AppConnection;
use crate::config::Upstream;

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Most idle connections of one worker. A further one replaces the oldest.
const MAX_IDLE: usize = 256;

/// The idle connections of one worker.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a connection moves between its holders as one pointer")]
pub(crate) struct Pool {
    /// Oldest first.
    idle: RefCell<Vec<Box<AppConnection>>>,
    /// The task that closes idle connections is running.
    sweeping: RefCell<bool>,
}

impl Pool {
    /// Takes the newest idle connection to an address that is still open. `incarnation`: the process
    /// of the app. After a reload, another one may have the address, while the earlier one still
    /// serves its connections.
    pub(super) fn take(&self, upstream: &Upstream, incarnation: u64) -> Option<Box<AppConnection>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|connection| {
                *connection.upstream == *upstream && connection.incarnation == incarnation
            })?;
            let mut connection = idle.remove(at);
            if connection.idle_since.elapsed() < IDLE_TIMEOUT && connection.is_reusable() {
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
        if idle.len() == MAX_IDLE {
            idle.remove(0);
        }
        idle.push(connection);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Closes connections that have been idle for too long. Ends when the pool is empty.
    async fn sweep(self: Rc<Self>) {
        while let Some(oldest) = self.oldest() {
            tokio::time::sleep_until(oldest + IDLE_TIMEOUT).await;
            self.idle
                .borrow_mut()
                .retain(|connection| connection.idle_since.elapsed() < IDLE_TIMEOUT);
        }
        self.sweeping.replace(false);
    }

    fn oldest(&self) -> Option<Instant> {
        self.idle.borrow().first().map(|connection| connection.idle_since)
    }
}
