//! `ready` and `live` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, OneOrManyNumbers};

/// A probe has exactly one of `http`, `tcp`, `exec`, `log` and `notify`. `live` accepts only
/// `http`, `tcp` and `exec`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    /// The probe succeeds if a `GET` of this path at the app's address returns `status`. For an app
    /// with a route, the request has the `Host` and the `X-Forwarded-*` headers of a browser's
    /// request, so an app that checks its host names needs no further one for the probe. Redirects
    /// are not followed.
    ///
    /// Type: path. Default: none. Example: `"/health"`.
    pub(crate) http: Option<At<String>>,
    /// Status that counts as success, or a list of them; only with `http`. A redirect is a failure
    /// unless its status is listed.
    ///
    /// Type: integer from 100 to 599, or list. Default: `200`. Example: `[200, 302]`.
    pub(crate) status: Option<OneOrManyNumbers>,
    /// The probe succeeds if the app's address accepts a connection.
    ///
    /// Type: `true`. Default: none. Example: `true`.
    pub(crate) tcp: Option<At<bool>>,
    /// The probe succeeds if this command exits 0. The command runs with the app's user,
    /// environment and limits.
    ///
    /// Type: list of strings. Default: none. Example: `["pg_isready", "-q"]`.
    pub(crate) exec: Option<At<Vec<String>>>,
    /// The app is ready when a line of its output matches this regular expression.
    ///
    /// Type: string. Default: none. Example: `"^Listening on"`.
    pub(crate) log: Option<At<String>>,
    /// The app reports its readiness itself: `fd` is a newline on the descriptor whose number is in
    /// `NOTIFY_FD`, `systemd` is `READY=1` to the socket in `NOTIFY_SOCKET`.
    ///
    /// Type: `"fd"` or `"systemd"`. Default: none. Example: `"systemd"`.
    pub(crate) notify: Option<At<Notify>>,
    /// Pause between two questions. The `ready` probe asks more often while the app starts.
    ///
    /// Type: duration. Default: `"1s"`. Example: `"10s"`.
    pub(crate) interval: Option<At<String>>,
    /// Time for one answer; no answer in time is a failure.
    ///
    /// Type: duration. Default: `"2s"`. Example: `"500ms"`.
    pub(crate) timeout: Option<At<String>>,
    /// Time for the whole start, for `ready`. An app that is not ready by then is ended, which
    /// counts as a failed start.
    ///
    /// Type: duration. Default: `"60s"`. Example: `"5m"`.
    pub(crate) deadline: Option<At<String>>,
    /// Number of failures in a row after which `live` restarts the app. Not for `ready`.
    ///
    /// Type: integer. Default: `3`. Example: `5`.
    pub(crate) failures: Option<At<i64>>,
}

/// How an app reports that it is ready.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD`.
    Fd,
    /// `READY=1` to `NOTIFY_SOCKET`.
    Systemd,
}
