//! Blocking work of one kind, one piece at a time: work that hangs takes one thread and not all.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::blocking;

/// The turn to do work of one kind. All clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Does the work on another thread when the work before has ended. The turn stays with the work, also
    /// if nobody waits for it any more.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let held = Arc::clone(&self.0).lock_owned().await;
        let work = move || {
            let _held = held;
            work()
        };
        blocking(work).await
    }

    /// Whether work goes on or waits, or another clone is kept.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
