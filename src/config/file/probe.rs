//! `ready` and `live` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// A question that is asked of an app. Exactly one of `http`, `tcp`, `exec`, `log`, `notify`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// `GET` of this path on the app's address; redirects are not followed.
    pub(crate) http: Option<At<String>>,
    /// Status that means yes, with `http`. Default: `200`.
    pub(crate) status: Option<At<i64>>,
    /// A connection is accepted.
    pub(crate) tcp: Option<At<bool>>,
    /// This command exits 0; it runs as the app does.
    pub(crate) exec: Option<At<Vec<String>>>,
    /// A line of the app's output matches this expression.
    pub(crate) log: Option<At<String>>,
    /// The app says so itself: a newline on the descriptor in `NOTIFY_FD`, or `sd_notify`.
    pub(crate) notify: Option<At<Notify>>,
    /// Pause between two questions; shorter while the app starts. Default: `"1s"`.
    pub(crate) interval: Option<At<String>>,
    /// For one answer. Default: `"2s"`.
    pub(crate) timeout: Option<At<String>>,
    /// For the whole start; then it counts as failed. Default: `"60s"`.
    pub(crate) deadline: Option<At<String>>,
    /// Of `live`: failures in a row that end it. Default: `3`.
    pub(crate) failures: Option<At<i64>>,
}

/// How an app says that it is ready.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD`.
    Fd,
    /// `READY=1` to `NOTIFY_SOCKET`.
    Systemd,
}
