//! `limits` and `setup` of an app.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, Size};

/// Resource limits, soft and hard alike. Sizes are numbers of bytes or strings as `"1GiB"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Open files.
    pub(crate) nofile: Option<At<Size>>,
    /// Size of a core dump.
    pub(crate) core: Option<At<Size>>,
    /// Processes of its user.
    pub(crate) nproc: Option<At<Size>>,
    /// Address space.
    #[serde(rename = "as")]
    pub(crate) address_space: Option<At<Size>>,
    /// Size of a file that it writes.
    pub(crate) fsize: Option<At<Size>>,
}

/// First-time setup: runs unless `creates` exists.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// Program and arguments.
    pub(crate) run: At<Vec<String>>,
    /// What is there afterwards.
    pub(crate) creates: At<String>,
    /// Variables beside the app's own.
    pub(crate) env: Option<BTreeMap<String, String>>,
}
