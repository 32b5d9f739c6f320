//! Work that outlives the request that began it.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Where such work runs. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    under_way: TaskTracker,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        let under_way = TaskTracker::new();
        // Closed says only that the last one to end is to be noticed; more may come.
        under_way.close();
        Self { runtime, under_way }
    }

    /// Runs to its end, whoever waits for it.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.under_way.spawn_on(work, &self.runtime)
    }

    /// The same for work that waits for a disk.
    pub(crate) fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.under_way.spawn_blocking_on(work, &self.runtime)
    }

    /// Waits until nothing is under way, at most that long. Returns whether it was so.
    pub(crate) async fn finished(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.under_way.wait()).await.is_ok()
    }
}
