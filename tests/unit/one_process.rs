//! All unit tests run in one process, and some have to be alone in it.
//!
//! Two reapers would reap each other's children. And between fork and exec a child has copies of all
//! descriptors, also of the pipes of another test, which reads the end of such a pipe only later.

use tokio::sync::{Mutex, MutexGuard};

static ALONE: Mutex<()> = Mutex::const_new(());

/// While the guard lives, no other test has children or depends on when a pipe ends.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// As [`alone`], for a test without a runtime.
pub(crate) fn blocking_alone() -> MutexGuard<'static, ()> {
    ALONE.blocking_lock()
}
