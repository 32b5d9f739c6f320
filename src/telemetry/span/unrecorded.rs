//! Spans of a build without the feature `otlp`: nothing.

use std::time::Duration;

/// A span that nobody records.
#[derive(Debug, Clone)]
pub(crate) struct Span;

const _: () = assert!(size_of::<Span>() == 0, "a build without the feature carries no spans");

#[expect(clippy::unused_self, reason = "the same signatures with and without the feature")]
impl Span {
    pub(crate) fn request<'a>(_parent: impl FnOnce() -> Option<&'a str>) -> Self {
        Self
    }

    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn child(&self, _name: &'static str) -> Self {
        Self
    }

    pub(crate) fn traceparent(&self) -> Option<String> {
        None
    }

    pub(crate) fn describe(&self, _describe: impl FnOnce(&Self)) {}

    pub(crate) fn rename(&self, _name: &str) {}

    pub(crate) fn text(&self, _key: &'static str, _value: &str) {}

    pub(crate) fn number(&self, _key: &'static str, _value: u16) {}

    pub(crate) fn fail(&self, _reason: &str) {}

    pub(crate) fn end(&self) {}

    pub(crate) fn run<F: Future>(&self, work: F) -> F {
        work
    }
}

/// No export.
#[derive(Debug)]
pub struct SpanExport;

impl SpanExport {
    /// Nothing: this build exports no spans.
    pub fn start() -> Option<Self> {
        None
    }

    /// Never called, because nothing starts.
    #[expect(clippy::unused_async, reason = "the same signature with and without the feature")]
    pub async fn finish(self, _within: Duration) {}
}
