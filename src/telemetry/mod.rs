//! What happened: one log on stdout.
//!
//! Every line, a child's or our own, goes through one bounded queue to one writer thread, the
//! only one that touches stdout. A blocked stdout therefore blocks nobody else: children feel
//! back-pressure through [`ChildLog::send`], our own events and access lines are dropped and
//! counted when the queue is full, never waited for.

use std::time::Duration;

use crate::config::{AppName, Log};

mod access;

pub use access::AccessRecord;

/// A way into the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogHandle {}

/// One child's way into the log.
#[derive(Debug)]
pub struct ChildLog {}

/// Starts the writer thread and installs the `tracing` subscriber.
pub fn start(_config: &Log) -> std::io::Result<LogHandle> {
    todo!()
}

impl LogHandle {
    /// For the output of a child.
    pub fn child(&self, _app: &AppName) -> ChildLog {
        todo!()
    }

    /// Writes one access line, or counts it as dropped when the queue is full.
    pub fn access(&self, _record: &AccessRecord<'_>) {
        todo!()
    }

    /// Waits until all that was queued is written, at most for the budget. Returns whether it was.
    pub async fn flush(&self, _budget: Duration) -> bool {
        todo!()
    }
}
