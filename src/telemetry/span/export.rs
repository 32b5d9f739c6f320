//! The export by OTLP over HTTP, set up by the variables `OTEL_*` of the OpenTelemetry specification.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{info, warn};

use super::client::Client;
use super::recorded;

/// The variables that switch the export on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The variables with the time limit of an export, in milliseconds.
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// The time limit if no variable sets one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The variables that choose the protocol.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// The running export.
#[derive(Debug)]
pub struct SpanExport(SdkTracerProvider);

impl SpanExport {
    /// Starts the export if an endpoint is set. What prevents it is logged and prevents nothing else.
    /// Must be called within the runtime.
    pub fn start() -> Option<Self> {
        let endpoint = ENDPOINTS.iter().find_map(|name| variable(name))?;
        let is_on = |name, off: &str| variable(name).is_none_or(|value| value != off);
        if !is_on("OTEL_SDK_DISABLED", "true") || !is_on("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        match provider(endpoint.starts_with("https:")) {
            Ok(provider) => {
                recorded::record_with(provider.tracer("appliance"));
                info!("spans are exported");
                Some(Self(provider))
            }
            Err(reason) => {
                warn!(reason, "spans are not exported; correct the variables OTEL_*");
                None
            }
        }
    }

    /// Exports what is left, and ends.
    pub async fn finish(self, within: Duration) {
        let ending = crate::threads::blocking(move || self.0.shutdown_with_timeout(within));
        let _ = tokio::time::timeout(within, ending).await;
    }
}

fn provider(tls: bool) -> Result<SdkTracerProvider, String> {
    let client = Client::new(tls, timeout(), tokio::runtime::Handle::current());
    let client = client.map_err(|_| "cannot set up HTTP to the collector".to_owned())?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client);
    let exporter =
        exporter.with_protocol(protocol()?).build().map_err(|error| error.to_string())?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
    Ok(provider.with_resource(resource()).build())
}

/// What the spans come from. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="));
    let resource = Resource::builder().with_attribute(version);
    if named { resource } else { resource.with_service_name("appliance") }.build()
}

/// The library would take another protocol than the specification where none is set, and would ignore
/// one that it does not know.
fn protocol() -> Result<Protocol, String> {
    match PROTOCOLS.iter().find_map(|name| variable(name)).as_deref() {
        None | Some("http/protobuf") => Ok(Protocol::HttpBinary),
        Some("http/json") => Ok(Protocol::HttpJson),
        Some(_) => Err(format!("{} must be http/protobuf or http/json", PROTOCOLS[1])),
    }
}

/// What is not a number, or is zero, counts as unset.
fn timeout() -> Duration {
    let set = TIMEOUTS.iter().find_map(|name| variable(name)?.parse().ok());
    set.filter(|set| *set > 0).map_or(TIMEOUT, Duration::from_millis)
}

/// An empty variable counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
