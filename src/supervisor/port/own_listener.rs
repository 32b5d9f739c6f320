//! Whether the program that a new connection has reached is the app: for the parts of the appliance
//! that send requests to apps.
//!
//! A ready app may close its listener for a moment. Any local program can then take the port, and
//! would receive requests until the next probe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::owner::Owner;
use crate::config::{Ends, ListenerCheck, ListenerFault};

/// The listeners of the current incarnation of an app.
#[derive(Debug, Default)]
pub(crate) struct OwnListener {
    current: Mutex<Option<Current>>,
    /// No other incarnation of any app has this number; 0 if nothing is followed.
    number: AtomicU64,
}

#[derive(Clone)]
struct Current {
    owner: Arc<Owner>,
    /// Reports that another program listens.
    report: Arc<dyn Fn(&str) + Send + Sync>,
}

impl OwnListener {
    /// From now on, the listeners must belong to this owner.
    pub(crate) fn follow(&self, owner: Arc<Owner>, report: impl Fn(&str) + Send + Sync + 'static) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let current = Current { owner, report: Arc::new(report) };
        self.number.store(LAST.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }
}

impl OwnListener {
    /// From now on, the app runs elsewhere: nothing is checked.
    pub(crate) fn forget(&self) {
        self.number.store(0, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ListenerCheck for OwnListener {
    fn incarnation(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    fn check(&self, connection: Option<Ends>) -> Result<(), ListenerFault> {
        // Not held while the check looks at processes: the supervisor takes this lock, too.
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(current) = current else { return Ok(()) };
        let checked = current.owner.check_connection(connection);
        if let Err(ListenerFault::Foreign(reason)) = &checked {
            (current.report)(reason);
        }
        checked
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("owner", &self.owner).finish_non_exhaustive()
    }
}
