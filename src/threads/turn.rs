//! Blocking work of one kind, a few pieces at a time: work that hangs takes these threads and not all.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::blocking;

/// The turn to do work of one kind. All clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<Semaphore>);

impl Default for Turn {
    /// One piece at a time.
    fn default() -> Self {
        Self::of(1)
    }
}

impl Turn {
    /// So many pieces of work at a time.
    pub(crate) fn of(pieces: usize) -> Self {
        Self(Arc::new(Semaphore::new(pieces)))
    }

    /// Does the work on another thread when its turn has come. The turn stays with the work, also if nobody
    /// waits for it any more.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        // The semaphore is never closed.
        let held = Arc::clone(&self.0).acquire_owned().await.ok();
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
