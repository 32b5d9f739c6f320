//! `[alerts]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::secret::SecretRef;
use super::shape::At;

/// Messages to a webhook about apps that fail and an issuer that is down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerts {
    /// URL that each alert is sent to with `POST`. The URL is a secret: it is in no log, no message
    /// and no output. Sources are `env` and `file`.
    ///
    /// Type: secret. Required. Example: `{ env = "ALERT_WEBHOOK" }`.
    pub(crate) webhook: Option<At<SecretRef>>,
    /// The events that cause an alert. `failed`: an app has failed for good. `restarted`: an app
    /// ended by itself and is started again. `memory`: an app is restarted because of its
    /// `max_memory`. `unready`: an app is no longer ready. `issuer`: the issuer is down.
    /// `certificate`: a certificate of the appliance expires within two weeks.
    ///
    /// Type: list of strings. Default: `["failed", "issuer", "certificate"]`. Example: `["failed",
    /// "restarted", "memory", "unready", "issuer"]`.
    pub(crate) events: Option<At<Vec<AlertEvent>>>,
    /// Format of the body: `json` for an object with all facts, `slack` for a message that Slack,
    /// Mattermost and others show.
    ///
    /// Type: `"json"` or `"slack"`. Default: `"json"`.
    pub(crate) format: Option<AlertFormat>,
}

/// An event that can cause an alert.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AlertEvent {
    /// An app has failed for good.
    Failed,
    /// An app ended by itself and is started again.
    Restarted,
    /// An app is restarted because of its `max_memory`.
    Memory,
    /// An app is no longer ready.
    Unready,
    /// The issuer is down.
    Issuer,
    /// A certificate will expire soon.
    Certificate,
}

/// Format of the body of an alert.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AlertFormat {
    /// An object with all facts.
    Json,
    /// A message for a chat.
    Slack,
}
