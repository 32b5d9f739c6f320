//! The webhook: a secret URL, and the POST to it, tried three times.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret as _;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::alert::Alert;
use crate::config::{AlertEvent, AlertFormat, Alerts, Config};
use crate::telemetry::root_cause;

/// For the connection and for the whole request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before the second and the third attempt.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Where alerts go, which, and in which form. `Debug` does not show the URL.
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    events: Vec<AlertEvent>,
    format: AlertFormat,
    /// The page that shows the apps to operators.
    link: String,
    /// Name of the app that serves the issuer.
    pub(super) issuer: Option<String>,
}

/// Why there can be no webhook. The text never contains the URL.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WebhookError(String);

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, format, .. } = self;
        f.debug_struct("Webhook").field("events", events).field("format", format).finish()
    }
}

impl Webhook {
    /// Reads the URL of `[alerts]`. `None` without the section.
    ///
    /// # Errors
    /// The URL cannot be read, or is no `http://` or `https://` URL.
    pub fn of(config: &Config) -> Result<Option<Self>, WebhookError> {
        let Some(Alerts { webhook, events, format }) = &config.alerts else { return Ok(None) };
        let secret = webhook.resolve(&config.server.state_dir);
        let secret = secret.map_err(|error| WebhookError(error.to_string()))?;
        let url = url(secret.expose_secret().trim())?;
        let served_by = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
        Ok(Some(Self {
            client: client(url.scheme() == "https")?,
            url,
            events: events.clone(),
            format: *format,
            link: format!("{}/_appliance/apps", config.server.public_url),
            issuer: served_by.map(ToString::to_string),
        }))
    }

    /// Whether this event causes an alert.
    pub(super) fn wants(&self, event: AlertEvent) -> bool {
        self.events.contains(&event)
    }

    /// Sends the alert; tries three times. `tried` is dropped after the first attempt.
    pub(super) async fn deliver<T>(&self, alert: &Alert, tried: T) {
        let mut outcome = self.post(alert).await;
        drop(tried);
        for pause in PAUSES {
            let Err(reason) = &outcome else { break };
            debug!(event = alert.event.as_str(), about = %alert.app, reason, "an alert is sent again");
            sleep(pause).await;
            outcome = self.post(alert).await;
        }
        match outcome {
            Ok(()) => debug!(event = alert.event.as_str(), about = %alert.app, "alert sent"),
            Err(reason) => {
                let attempts = PAUSES.len() + 1;
                warn!(event = alert.event.as_str(), about = %alert.app, reason, attempts, "an alert could not be delivered");
            }
        }
    }

    async fn post(&self, alert: &Alert) -> Result<(), String> {
        let body = alert.body(self.format, &self.link).to_string();
        let request = self.client.post(self.url.clone()).body(body);
        let request = request.header("content-type", "application/json");
        let response = request.send().await.map_err(|error| cause(&error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the webhook answers {status}")),
        }
    }
}

fn url(text: &str) -> Result<Url, WebhookError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        let why = "the source of `webhook` contains no http:// or https:// URL; \
                   write there the address that your chat or alert service shows";
        WebhookError(why.to_owned())
    })
}

/// Ignores proxy variables and follows no redirects, as the client for the issuer.
fn client(tls: bool) -> Result<reqwest::Client, WebhookError> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("appliance/", env!("CARGO_PKG_VERSION")));
    // Minimal images have no certificates, and loading them would fail.
    let builder = if tls { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| WebhookError(format!("cannot set up HTTP: {}", cause(&error))))
}

/// The text of the innermost cause: it contains no URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no response within {} s", TIMEOUT.as_secs());
    }
    root_cause(error).unwrap_or_else(|| "the request failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_accepted_and_no_error_shows_them() {
        assert!(url("https://hooks.example/services/T0/B1").is_ok());
        assert!(url("http://127.0.0.1:9/x").is_ok());
        for text in ["hooks.example/s3cr3t", "file:///s3cr3t", "s3cr3t", ""] {
            let error = url(text).unwrap_err().to_string();
            assert!(error.contains("https://") && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[tokio::test]
    async fn neither_debug_nor_the_cause_of_a_failure_shows_the_url() {
        let webhook = Webhook {
            client: client(false).unwrap(),
            url: url("http://user:s3cr3t@no-such-host.invalid/s3cr3t?s3cr3t").unwrap(),
            events: vec![AlertEvent::Failed],
            format: AlertFormat::Json,
            link: String::new(),
            issuer: None,
        };
        assert!(!format!("{webhook:?}").contains("s3cr3t"));
        let reason = webhook.post(&Alert::of_issuer(None, "x")).await.unwrap_err();
        assert!(!reason.is_empty() && !reason.contains("s3cr3t"), "{reason}");
    }
}
