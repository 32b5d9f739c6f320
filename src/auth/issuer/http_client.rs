//! The HTTP client for calls to the issuer.
//!
//! It ignores proxy variables and follows no redirects. Every call has a timeout and every response
//! body a size limit. The text of an error never contains a query, because queries carry codes and
//! tokens.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use super::direct;
use super::http_error::{HttpError, MAX_BODY};
use super::loopback::{self, Loopback};
use super::own_app::OwnApp;
use crate::auth::setup_error::SetupError;
use crate::config::Oidc;
use crate::config::ownership::operator_file;
use crate::telemetry::root_cause;

/// For the connection and for the whole call.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept. Shorter than servers keep theirs: a token request on a
/// stale connection would look like an outage.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Calls the issuer.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: reqwest::Client,
    /// For [`Self::take_over`].
    loopback: Option<Arc<Loopback>>,
    app: Arc<OwnApp>,
}

/// A GET that asks for JSON, with an access token if there is one.
pub(super) fn json_request(url: &str, bearer: Option<&str>) -> http::request::Builder {
    let request = Request::get(url).header(header::ACCEPT, "application/json");
    match bearer {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

impl HttpClient {
    /// The client for the issuer of `[oidc]`, which `app` serves; fails if `ca_file` or the issuer
    /// URL cannot be used.
    pub(super) fn new(oidc: &Oidc, app: Arc<OwnApp>) -> Result<Self, SetupError> {
        // Fails if another part of the process has installed a provider already. It is the same
        // one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .https_only(oidc.dial.is_none() && oidc.issuer.starts_with("https:"))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(4);
        let groups_by_tls =
            oidc.groups_overage.as_ref().is_some_and(|it| it.url.starts_with("https:"));
        builder = match &oidc.ca_file {
            Some(path) => builder.tls_certs_merge(bundle(path)?),
            // Without TLS the system's certificates are not loaded: minimal images have none, and
            // loading them would fail.
            None if !groups_by_tls && (oidc.dial.is_some() || oidc.issuer.starts_with("http:")) => {
                builder.tls_certs_only([])
            }
            None => builder,
        };
        let client = builder.build().map_err(|error| {
            let reason = format!("cannot set up HTTP to the issuer: {}", cause(&error));
            SetupError::new(&["oidc"], reason)
        })?;
        let dial = oidc.dial.clone().or_else(|| loopback::on_this_machine(&oidc.issuer));
        let loopback = dial.map(|dial| Loopback::new(&oidc.issuer, &dial));
        Ok(Self { client, loopback: loopback.transpose()?.map(Arc::new), app })
    }

    /// From now on, this client and all others dial the app where its configuration says.
    pub(super) fn take_over(&self) {
        self.app.set_loopback(self.loopback.clone());
    }

    /// The body of a 200 to a GET. The error is for people.
    pub(super) async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Vec<u8>, String> {
        let request = json_request(url, bearer).body(Vec::new());
        let request = request.map_err(|_| format!("{url} is not a valid URL"))?;
        let response = self.send(request).await.map_err(|error| format!("{url} {error}"))?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(format!("{url} answers {status}")),
        }
    }

    /// Sends a request and reads the whole response. 5xx and 429 are errors. Every call to the
    /// issuer comes through here, and none is made while the issuer's own app is not ready.
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        self.exchange(request, is_unusable).await
    }

    /// The same, but a 429 is a response: its headers say how long to wait.
    pub(super) async fn send_unlimited(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        self.exchange(request, |status| status.is_server_error()).await
    }

    async fn exchange(
        &self,
        request: Request<Vec<u8>>,
        is_unusable: fn(StatusCode) -> bool,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        self.app.check().map_err(HttpError::AppNotReady)?;
        let loopback = self.app.loopback();
        let own = loopback.as_deref().filter(|loopback| loopback.is_for(&request));
        if let Some(own) = own {
            let response =
                direct::send(own.reroute(request), own.socket(), &self.app, TIMEOUT).await?;
            return match response.status() {
                status if is_unusable(status) => Err(HttpError::Status(status)),
                _ => Ok(response),
            };
        }
        let request = request.try_into().map_err(|error| no_answer(&error))?;
        let mut answer = self.client.execute(request).await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        if is_unusable(status) {
            return Err(HttpError::Status(status));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

/// 5xx and 429: no answer of the issuer itself, or none now.
fn is_unusable(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Reads the CA certificates of `ca_file`.
fn bundle(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>, SetupError> {
    let shown = path.display();
    let bad = |problem: &str| {
        SetupError::new(&["oidc", "ca_file"], format!("[oidc] ca_file {shown} {problem}"))
    };
    let pem =
        operator_file::read(path).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(bad("contains no PEM certificate")),
    }
}

fn no_answer(error: &reqwest::Error) -> HttpError {
    let reason = if error.is_timeout() {
        format!("no response within {} s", TIMEOUT.as_secs())
    } else {
        with_advice(&cause(error))
    };
    HttpError::NoAnswer(reason)
}

/// Adds to a TLS error what to do about it.
fn with_advice(cause: &str) -> String {
    if let Some(why) = cause.strip_prefix("invalid peer certificate: ") {
        let why = why.trim_start_matches("Other(OtherError(").trim_end_matches("))");
        format!("its TLS certificate is not trusted ({why}); set [oidc] ca_file to its CA")
    } else if cause.starts_with("received corrupt message") {
        "it does not speak TLS; is the issuer an http:// address?".to_owned()
    } else {
        cause.to_owned()
    }
}

fn cause(error: &reqwest::Error) -> String {
    root_cause(error).unwrap_or_else(|| "the request failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_names_the_setting_to_change() {
        let why = with_advice("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))");
        assert!(why.contains("(CaUsedAsEndEntity)") && why.contains("ca_file"), "{why}");
        let why = with_advice("received corrupt message of type InvalidContentType");
        assert!(why.contains("http://"), "{why}");
        assert_eq!(with_advice("Connection refused"), "Connection refused");
    }
}
