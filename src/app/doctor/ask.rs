//! Requests as a browser on this machine would send them.

use std::time::Duration;

use reqwest::{Response, Url};

use crate::config::Config;
use crate::config::ownership::operator_file;
use crate::telemetry::root_cause;

/// For the connection and for the whole response.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest response that is read, bytes.
const LONGEST: usize = 1 << 20;

/// The headers of a page that a person opens.
pub(super) const NAVIGATION: [(&str, &str); 4] = [
    ("accept", "text/html"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];

/// Sends requests, follows no redirects and uses no proxy.
pub(super) struct Asker(reqwest::Client);

/// A response, read whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: String,
}

impl Asker {
    /// Fails if `[oidc] ca_file` cannot be used.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Minimal images have no certificates, and loading them would fail.
        let speaks_tls = config.server.public_url.secure
            || config.oidc.as_ref().is_some_and(|oidc| oidc.issuer.starts_with("https:"));
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        if let Some(path) = config.oidc.as_ref().and_then(|oidc| oidc.ca_file.as_ref()) {
            let read = operator_file::read(path).map_err(|error| error.to_string());
            let certificates = read.and_then(|pem| {
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())
            });
            let certificates =
                certificates.map_err(|why| format!("{} is not usable: {why}", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        } else if !speaks_tls {
            builder = builder.tls_certs_only([]);
        }
        builder.build().map(Self).map_err(|error| cause(&error))
    }

    /// An error is the reason for people.
    pub(super) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let url: Url = url.parse().map_err(|error| format!("{url} is no address: {error}"))?;
        let request = headers
            .iter()
            .fold(self.0.get(url), |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.map_err(|error| cause(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: read(response).await })
    }
}

/// Why, without the address, which the finding names.
fn cause(error: &reqwest::Error) -> String {
    root_cause(error).unwrap_or_else(|| "no connection".to_owned())
}

/// The begin of a body, as text.
async fn read(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}
