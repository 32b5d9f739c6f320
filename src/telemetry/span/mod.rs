//! Spans of requests, logins, refreshes and app starts, exported by OTLP if the appliance was built
//! with the feature `otlp` and `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! Without the feature, a [`Span`] has no size, and all its methods do nothing.
//!
//! **Guarantees.** A span holds only what the access line may hold as well: no query, no header of a
//! client, no code, no token. Nothing waits for the export.

#[cfg(feature = "otlp")]
mod client;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod recorded;
#[cfg(not(feature = "otlp"))]
mod unrecorded;

#[cfg(feature = "otlp")]
pub use export::SpanExport;
#[cfg(feature = "otlp")]
pub(crate) use recorded::Span;
#[cfg(not(feature = "otlp"))]
pub(crate) use unrecorded::Span;
#[cfg(not(feature = "otlp"))]
pub use unrecorded::SpanExport;
