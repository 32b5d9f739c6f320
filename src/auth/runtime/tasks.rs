//! Background tasks that outlive the request that started them.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::threads::blocking;

/// Starts background tasks and counts the ones that still run. Clones share one count.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// Tasks run on `runtime`.
    pub(crate) fn new(runtime: Handle) -> Self {
        let tracker = TaskTracker::new();
        // `TaskTracker::wait` returns only after `close`; a closed tracker still accepts tasks.
        tracker.close();
        Self { runtime, tracker, stopping: CancellationToken::new() }
    }

    /// Starts a task that runs to its end even if the caller drops the returned handle.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn_on(task, &self.runtime)
    }

    /// Starts a task that blocks on the disk, on another thread.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.spawn(blocking(task))
    }

    /// A pause of a background task. It ends at once when the process stops.
    pub(crate) async fn pause(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stopping.cancelled()).await;
    }

    /// Ends all pauses and waits until no task runs, for at most `timeout`. Returns whether all tasks
    /// have ended.
    pub(crate) async fn wait_idle(&self, timeout: Duration) -> bool {
        self.stopping.cancel();
        tokio::time::timeout(timeout, self.tracker.wait()).await.is_ok()
    }
}
