//! `after`, `restart` and `backoff` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// A dependency.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// Name of the app.
    pub(crate) app: At<String>,
    /// Default: `"ready"`.
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

/// When an app that ended is started again.
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

/// Exponential, with ±20 % jitter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backoff {
    /// First pause. Default: `"500ms"`.
    pub(crate) min: Option<At<String>>,
    /// Longest pause. Default: `"30s"`.
    pub(crate) max: Option<At<String>>,
}
