//! HTTP calls to the authority. Each has a timeout and a limit of its response.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::config::ownership::operator_file;
use crate::telemetry::root_cause;
use crate::tls::certificate::CertificateError;

/// The longest pause that the authority may ask for, seconds.
const LONGEST_PAUSE: u64 = 7 * 24 * 60 * 60;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest response. A chain has a few kilobytes.
const LARGEST: usize = 1 << 20;

/// Calls the authority.
#[derive(Debug, Clone)]
pub(super) struct Client(reqwest::Client);

impl Client {
    /// `ca_file` replaces the authorities of the system.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT);
        let builder = match ca_file {
            Some(file) => builder.tls_certs_only(roots(file).map_err(|error| error.to_string())?),
            None => builder,
        };
        builder
            .build()
            .map(Self)
            .map_err(|error| root_cause(&error).unwrap_or_else(|| error.to_string()))
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (parts, body) = request.into_parts();
        let body =
            body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let request =
            reqwest::Request::try_from(Request::from_parts(parts, body)).map_err(other)?;
        let response = self.0.execute(request).await.map_err(other)?;
        let (mut parts, body) = Response::<reqwest::Body>::from(response).into_parts();
        let pause = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = pause.and_then(|text| text.trim().parse::<u64>().ok());
        if seconds.is_some_and(|seconds| seconds > LONGEST_PAUSE) {
            // The library adds it to the time, which may overflow.
            parts.headers.remove(RETRY_AFTER);
        }
        let body = Limited::new(body, LARGEST).collect().await.map_err(Error::Other)?;
        Ok(Response::from_parts(parts, Full::new(body.to_bytes())).into())
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().send(request))
    }
}

fn other(error: reqwest::Error) -> Error {
    Error::Other(Box::new(error.without_url()))
}

/// The certificates of a `ca_file`.
pub(in crate::tls) fn roots(file: &Path) -> Result<Vec<reqwest::Certificate>, CertificateError> {
    let pem = operator_file::read(file)
        .map_err(|error| CertificateError::new(file, format!("cannot be read: {error}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(CertificateError::new(file, "contains no PEM certificate")),
    }
}
