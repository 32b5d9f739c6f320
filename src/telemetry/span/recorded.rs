//! Spans that are recorded and exported.

use std::sync::OnceLock;

use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _, WithContext,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// Set when the export starts.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// From now on, spans are recorded.
pub(super) fn record_with(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

/// One span, or none if nothing is exported. Clones are the same span. A span ends with its last
/// clone, or before with [`Self::end`].
#[derive(Debug, Clone)]
pub(crate) struct Span(Option<Context>);

impl Span {
    /// The span of a request. `parent`: a valid `traceparent` of the client.
    pub(crate) fn request<'a>(parent: impl FnOnce() -> Option<&'a str>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent = match parent().and_then(remote) {
            Some(remote) => Context::new().with_remote_span_context(remote),
            None => Context::new(),
        };
        begin(tracer, "request", SpanKind::Server, &parent)
    }

    /// The span within which the caller runs, if there is one.
    pub(crate) fn current() -> Self {
        Self(TRACER.get().map(|_| Context::current()))
    }

    /// A new span within this one.
    pub(crate) fn child(&self, name: &'static str) -> Self {
        match (TRACER.get(), &self.0) {
            (Some(tracer), Some(parent)) => begin(tracer, name, SpanKind::Internal, parent),
            _ => Self(None),
        }
    }

    /// `traceparent` for whatever the work of this span calls.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let span = self.0.as_ref()?.span();
        let context = span.span_context();
        let (trace, span) = (context.trace_id(), context.span_id());
        Some(format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8()))
    }

    /// Calls `describe` if the span is recorded.
    pub(crate) fn describe(&self, describe: impl FnOnce(&Self)) {
        if self.0.as_ref().is_some_and(|context| context.span().is_recording()) {
            describe(self);
        }
    }

    pub(crate) fn rename(&self, name: &str) {
        if let Some(context) = &self.0 {
            context.span().update_name(name.to_owned());
        }
    }

    pub(crate) fn text(&self, key: &'static str, value: &str) {
        self.set(KeyValue::new(key, value.to_owned()));
    }

    pub(crate) fn number(&self, key: &'static str, value: u16) {
        self.set(KeyValue::new(key, i64::from(value)));
    }

    fn set(&self, attribute: KeyValue) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(attribute);
        }
    }

    /// The work of the span has failed.
    pub(crate) fn fail(&self, reason: &str) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(reason.to_owned()));
        }
    }

    /// Ends the span, also while clones of it exist.
    pub(crate) fn end(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    /// Runs `work` within this span.
    pub(crate) fn run<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.0.clone().unwrap_or_default())
    }
}

fn begin(tracer: &SdkTracer, name: &'static str, kind: SpanKind, parent: &Context) -> Span {
    let span = tracer.span_builder(name).with_kind(kind).start_with_context(tracer, parent);
    Span(Some(parent.with_span(span)))
}

/// The span that a valid `traceparent` names.
fn remote(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    let flags = flags & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}
