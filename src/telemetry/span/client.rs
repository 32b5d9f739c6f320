//! The HTTP client of the export. It runs on the runtime of the main thread; the thread that exports
//! waits for it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tracing::warn;

use crate::telemetry::root_cause;

/// A collector answers with a few bytes.
const MAX_BODY: usize = 64 << 10;
/// Pause between two lines about a collector that is down.
const LOG_PAUSE: Duration = Duration::from_mins(5);

/// Sends spans to the collector.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
    logged: Mutex<Option<Instant>>,
}

impl Client {
    /// `timeout`: for the connection and for the whole request.
    pub(super) fn new(
        tls: bool,
        timeout: Duration,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(timeout);
        // Minimal images have no certificates, and loading them would fail.
        let builder = if tls { builder } else { builder.tls_certs_only([]) };
        Ok(Self { http: builder.build()?, runtime, logged: Mutex::new(None) })
    }

    /// Logs why the export failed. The reason names neither the address nor a header: both may
    /// contain a key.
    fn log(&self, reason: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            *logged = Some(Instant::now());
            warn!(reason, "spans cannot be exported");
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move { send(&http, request).await });
        let outcome = match sending.await {
            Ok(outcome) => outcome,
            Err(_) => Err("the appliance ends".to_owned()),
        };
        match &outcome {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.log(&format!("the collector answers {}", response.status())),
            Err(reason) => self.log(reason),
        }
        Ok(outcome?)
    }
}

async fn send(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let request = request.try_into().map_err(|error| cause(&error))?;
    let mut answer = http.execute(request).await.map_err(|error| cause(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err("the collector sends too long an answer".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// The text of the innermost cause: it contains no URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no response within OTEL_EXPORTER_OTLP_TIMEOUT".to_owned();
    }
    root_cause(error).unwrap_or_else(|| "the request failed".to_owned())
}
