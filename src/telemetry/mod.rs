//! The log on stdout.
//!
//! Every line, of a child or of the appliance, passes through one bounded queue to one writer
//! thread, the only code that writes to stdout. Therefore a blocked stdout blocks nothing else:
//! children wait in [`ChildStream::send`]; the appliance's own lines and access lines are dropped
//! and counted when the queue is full.
//!
//! The newest lines are also kept in memory, within bounds, for [`LogHandle::tail`] and
//! [`LogHandle::follow`].

mod access;
mod child;
mod child_json;
mod escape;
mod format;
mod lines;
mod queue;
mod reader;
mod recent;
mod root_cause;
mod span;
mod stdout;
mod throttle;
mod timestamp;
mod tracing_layer;

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::{AppName, Log};

pub use access::AccessRecord;
pub use child::{ChildLog, ChildStream};
pub use format::{APPLIANCE, Stream};
pub(crate) use reader::as_json::as_json;
pub use reader::viewer::Viewer;
pub use recent::{Follower, Selection};
pub(crate) use root_cause::root_cause;
pub(crate) use span::Span;
pub use span::SpanExport;
pub(crate) use throttle::Throttle;
pub use timestamp::rfc3339;
pub(crate) use timestamp::to_the_minute;

use child::Writer;
use format::Format;
use queue::{Queue, Urgency};
use recent::Source;

/// Crates whose `info` lines do not help an operator, one that logs an error which it also returns, and
/// one that logs a line for each frame that a hostile client sends. A level in `[log] level` overrides these.
const QUIET: &str = "h2=error,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,\
    rustls_platform_verifier=off";

/// Writes to the log and reads its newest lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogHandle {
    queue: Arc<Queue>,
    /// `None` in tests, which install no subscriber.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
    /// The apps that write.
    writers: Arc<Mutex<HashMap<AppName, Arc<Writer>>>>,
}

/// Starts the writer thread and installs the `tracing` subscriber and a panic hook that logs.
///
/// # Errors
/// `level` is not a valid filter, the thread cannot be started, or a subscriber is already
/// installed.
pub fn start(config: &Log) -> io::Result<LogHandle> {
    let (filter, changeable) = reload::Layer::new(filter(config)?);
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
    Ok(LogHandle { queue, filter: Some(changeable), writers: Arc::default() })
}

fn filter(config: &Log) -> io::Result<EnvFilter> {
    EnvFilter::builder()
        .parse(format!("{QUIET},{}", config.level))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

impl LogHandle {
    /// The log of a child's output.
    pub fn child(&self, app: &AppName) -> ChildLog {
        let writer = self
            .writers()
            .entry(app.clone())
            .or_insert_with(|| Arc::new(Writer::new(app.clone())))
            .clone();
        ChildLog::new(writer, self.clone())
    }

    /// Gives a child another name, also for the lines that it writes from now on.
    pub fn rename(&self, from: &AppName, to: &AppName) {
        if from == to {
            return;
        }
        let mut writers = self.writers();
        if let Some(writer) = writers.remove(from) {
            writer.name.store(Arc::new(to.clone()));
            writers.insert(to.clone(), writer);
        }
    }

    /// Bytes that each app has written since the appliance started.
    pub fn bytes(&self) -> Vec<(AppName, u64)> {
        let writers = self.writers();
        let read = |writer: &Writer| writer.bytes.load(Ordering::Relaxed);
        writers.iter().map(|(app, writer)| (app.clone(), read(writer))).collect()
    }

    fn writers(&self) -> MutexGuard<'_, HashMap<AppName, Arc<Writer>>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes format and level of the lines that follow.
    ///
    /// # Errors
    /// `level` is not a valid filter.
    pub fn configure(&self, config: &Log) -> io::Result<()> {
        if let Some(changeable) = &self.filter {
            changeable.reload(filter(config)?).map_err(io::Error::other)?;
        }
        self.queue.set_format(Format::new(config, io::stdout().is_terminal()));
        Ok(())
    }

    /// Writes a line that only stdout gets, whatever the level: neither `appliance logs` nor the console
    /// shows it.
    pub(crate) fn print_once(&self, text: &str) {
        let entry = self.queue.format().entry(APPLIANCE, tracing::Level::INFO, text);
        self.queue.print(entry.finish());
    }

    /// Writes one access line. If the queue is full, the line is dropped and counted.
    pub fn access(&self, record: &AccessRecord<'_>) {
        let source = Source::Access(record.app.unwrap_or(APPLIANCE));
        self.queue.offer(source, record.line(self.queue.format()), Urgency::Paced);
    }

    /// The last `n` lines of a selection as they are in the log, oldest first, without line ends.
    /// About 256 KiB are kept for each app, and as much for the access lines of each app.
    pub fn tail(&self, selection: &Selection, n: usize) -> Vec<String> {
        let lines = self.queue.recent(|recent| recent.tail(selection, n));
        lines.iter().map(|line| recent::text(line)).collect()
    }

    /// The last `n` lines of a selection, then all new lines without a gap. A follower that reads too
    /// slowly loses lines.
    pub fn follow(&self, selection: Selection, n: usize) -> Follower {
        self.queue.recent(|recent| recent.follow(selection, n))
    }

    /// Waits until all lines of children and of the appliance are written, at most for the budget.
    pub async fn flush(&self, budget: Duration) {
        let _ = tokio::time::timeout(budget, self.queue.drained()).await;
    }
}

#[cfg(test)]
mod unwritten {
    use super::*;
    use crate::config::{Color, LogFormat};

    impl LogHandle {
        /// For tests of all folders: a log without an output, which is read with [`Self::tail`].
        pub(crate) fn unwritten() -> Self {
            let (format, level, color) = (LogFormat::Text, String::new(), Color::Never);
            let format = Format::new(&Log { format, level, access: true, color }, false);
            let queue = Queue::start(format, io::sink()).unwrap();
            Self { queue, filter: None, writers: Arc::default() }
        }
    }
}
