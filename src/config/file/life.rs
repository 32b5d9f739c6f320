//! `after`, `restart` and `backoff` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// The table form of an entry of `after`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// Name of the app to wait for.
    ///
    /// Type: app name. Required. Example: `"db"`.
    pub(crate) app: At<String>,
    /// What to wait for: the app has started, is ready, or has exited with success (`finished`).
    ///
    /// Type: `"started"`, `"ready"` or `"finished"`. Default: `"ready"`.
    pub(crate) until: Option<Until>,
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Until {
    /// It was spawned.
    Started,
    /// It is ready.
    Ready,
    /// It has exited with success.
    Finished,
}

/// Which exits start an app again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    /// Whatever the exit was.
    Always,
    /// Unless the exit was a success.
    OnFailure,
    /// Never.
    Never,
}

/// Who gets the stop signal.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopTarget {
    /// All processes of the group.
    Group,
    /// The leader of the group.
    Leader,
}

/// The pause before a restart grows exponentially, with ±20 % jitter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backoff {
    /// First pause; no pause is shorter.
    ///
    /// Type: duration. Default: `"500ms"`. Example: `"1s"`.
    pub(crate) min: Option<At<String>>,
    /// Longest pause. Must not be shorter than `min`.
    ///
    /// Type: duration. Default: `"30s"`. Example: `"5m"`.
    pub(crate) max: Option<At<String>>,
}
