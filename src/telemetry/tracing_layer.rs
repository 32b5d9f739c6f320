//! A `tracing` layer that writes each event of the appliance as one log line.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::format::{APPLIANCE, Entry};
use super::queue::{Queue, Urgency};
use super::recent::Source;

/// Writes events to the queue; never waits.
#[derive(Debug)]
pub(super) struct LogLayer {
    queue: Arc<Queue>,
}

impl LogLayer {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut message = Message(String::new());
        event.record(&mut message);
        let format = self.queue.format();
        let mut entry = format.entry(APPLIANCE, *meta.level(), &message.0);
        if format.json || *meta.level() > Level::INFO {
            entry.text("target", meta.target());
        }
        event.record(&mut Fields(&mut entry));
        let urgency = if *meta.level() <= Level::WARN { Urgency::AtOnce } else { Urgency::Paced };
        self.queue.offer(Source::App(APPLIANCE), entry.finish(), urgency);
    }
}

/// Collects the message, which `tracing` passes among the fields in any order.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Adds all fields except the message.
struct Fields<'a>(&'a mut Entry);

impl Fields<'_> {
    /// The name of a field. In JSON, a name that every line has is replaced.
    fn name(&self, field: &Field) -> Option<&'static str> {
        match field.name() {
            "message" => None,
            // Position fields of crates that use `log`; the target is enough.
            name if name.starts_with("log.") => None,
            "app" if self.0.json => Some("about"),
            "ts" | "stream" | "level" | "msg" | "data" | "target" if self.0.json => Some("value"),
            name => Some(name),
        }
    }

    fn bare(&mut self, field: &Field, value: impl std::fmt::Display) {
        if let Some(name) = self.name(field) {
            self.0.bare(name, value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(name) = self.name(field) {
            self.0.text(name, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if let Some(name) = self.name(field) {
            self.0.text(name, &format!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(chain, ": {error}");
            cause = error.source();
        }
        self.record_str(field, &chain);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no NaN.
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.record_str(field, &value.to_string());
        }
    }
}
