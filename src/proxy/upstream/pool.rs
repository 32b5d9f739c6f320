//! Idle connections to apps, kept for the next request.
//!
//! One pool for each worker thread, so nothing is locked. A connection is kept for
//! [`IDLE`]: less than the five seconds after which common app servers close theirs.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use crate::config::Upstream;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections of one worker; the oldest go first.
const MOST: usize = 256;

/// The idle connections of one worker.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a link moves between its holders as one pointer")]
pub(crate) struct Pool {
    /// Oldest first.
    idle: RefCell<Vec<Box<Link>>>,
    sweeping: RefCell<bool>,
}

impl Pool {
    /// The newest idle connection to an address that is still open.
    pub(crate) fn take(&self, upstream: &Upstream) -> Option<Box<Link>> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|link| link.upstream == *upstream)?;
            let mut link = idle.remove(at);
            if link.idle_since.elapsed() < IDLE && link.is_reusable() {
                link.reused = true;
                return Some(link);
            }
        }
    }

    /// Takes a connection back once its answer has been read to the end. Whether it can be used
    /// again is asked when somebody wants it.
    pub(crate) fn put(self: &Rc<Self>, mut link: Box<Link>) {
        if link.is_used_up() {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() == MOST {
            idle.remove(0);
        }
        idle.push(link);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Closes what has been idle for too long; ends when nothing is left.
    async fn sweep(self: Rc<Self>) {
        while let Some(oldest) = self.oldest() {
            tokio::time::sleep_until(oldest + IDLE).await;
            self.idle.borrow_mut().retain(|link| link.idle_since.elapsed() < IDLE);
        }
        self.sweeping.replace(false);
    }

    fn oldest(&self) -> Option<Instant> {
        self.idle.borrow().first().map(|link| link.idle_since)
    }
}
