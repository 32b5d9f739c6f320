//! What happened: one log on stdout.
//!
//! Every line, a child's or our own, goes through one bounded queue to one writer thread, the
//! only one that touches stdout. A blocked stdout therefore blocks nobody else: children feel
//! back-pressure through [`ChildStream::send`], our own events and access lines are dropped and
//! counted when the queue is full, never waited for.
//!
//! What was logged last is also kept in memory, in bounds, for [`LogHandle::tail`] and
//! [`LogHandle::follow`].

mod access;
mod child;
mod child_json;
mod escape;
mod format;
mod lines;
mod queue;
mod recent;
mod stdout;
mod timestamp;
mod tracing_layer;
mod viewer;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{AppName, Log};

pub use access::AccessRecord;
pub use child::{ChildLog, ChildStream};
pub use format::{OURSELVES, Stream};
pub use recent::Follower;
pub use timestamp::rfc3339;
pub use viewer::Viewer;

use format::Format;
use queue::Queue;

/// Crates whose own `info` says nothing to an operator, and one that logs an error that it also
/// returns; what `level` says of them wins.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,\
    rustls_platform_verifier=off";

/// A way into the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogHandle {
    queue: Arc<Queue>,
    access: bool,
}

/// Starts the writer thread and installs the `tracing` subscriber and a panic hook that logs.
///
/// # Errors
/// `level` is no filter, the thread cannot be started, or a subscriber is already there.
pub fn start(config: &Log) -> io::Result<LogHandle> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", config.level))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let format = Format::new(config, io::stdout().is_terminal());
    let queue = Queue::start(format, stdout::Stdout)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(tracing_layer::LogLayer::new(queue.clone()))
        .try_init()
        .map_err(io::Error::other)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panicked");
    }));
    Ok(LogHandle { queue, access: config.access })
}

impl LogHandle {
    /// For the output of a child.
    pub fn child(&self, app: &AppName) -> ChildLog {
        ChildLog::new(app.clone(), self.clone())
    }

    /// Writes one access line, unless `[log] access` is off, or counts it as dropped when the
    /// queue is full.
    pub fn access(&self, record: &AccessRecord<'_>) {
        if self.access {
            self.queue.offer(record.line(self.queue.format()));
        }
    }

    /// The last `n` lines as they stand in the log, oldest first, without their ends; of one app
    /// (`appliance` is ourselves) or of all. About 256 KiB are kept for each.
    pub fn tail(&self, app: Option<&AppName>, n: usize) -> Vec<String> {
        let lines = self.queue.recent(|recent| recent.tail(app.map(AppName::as_str), n));
        lines.iter().map(|line| recent::text(line)).collect()
    }

    /// The last `n` lines and then all that come, with none missing in between. Who reads too slowly loses lines.
    pub fn follow(&self, app: Option<&AppName>, n: usize) -> Follower {
        self.queue.recent(|recent| recent.follow(app.map(AppName::as_str), n))
    }

    /// Waits until all that children and we have said is written, at most for the budget.
    pub async fn flush(&self, budget: Duration) {
        let _ = tokio::time::timeout(budget, self.queue.drained()).await;
    }
}

#[cfg(test)]
mod unwritten {
    use super::*;
    use crate::config::{Color, LogFormat};

    impl LogHandle {
        /// For tests of all folders: a log that is written nowhere and is read with [`Self::tail`].
        pub(crate) fn unwritten() -> Self {
            let (format, level, color) = (LogFormat::Text, String::new(), Color::Never);
            let format = Format::new(&Log { format, level, access: true, color }, false);
            Self { queue: Queue::start(format, io::sink()).unwrap(), access: true }
        }
    }
}
