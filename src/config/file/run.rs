//! `limits` and `setup` of an app.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, Size};

/// Resource limits, soft and hard limit alike: a number, a size such as `"1GiB"`, or `"unlimited"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Open files (`RLIMIT_NOFILE`).
    ///
    /// Type: integer. Default: unchanged. Example: `4096`.
    pub(crate) nofile: Option<At<Size>>,
    /// Size of a core dump in bytes (`RLIMIT_CORE`).
    ///
    /// Type: integer or size. Default: unchanged. Example: `0`.
    pub(crate) core: Option<At<Size>>,
    /// Processes and threads of the process's user (`RLIMIT_NPROC`).
    ///
    /// Type: integer. Default: unchanged. Example: `256`.
    pub(crate) nproc: Option<At<Size>>,
    /// Address space in bytes (`RLIMIT_AS`).
    ///
    /// Type: integer or size. Default: unchanged. Example: `"2GiB"`.
    #[serde(rename = "as")]
    pub(crate) address_space: Option<At<Size>>,
    /// Size of a file that the process writes, in bytes (`RLIMIT_FSIZE`).
    ///
    /// Type: integer or size. Default: unchanged. Example: `"1GiB"`.
    pub(crate) fsize: Option<At<Size>>,
}

/// First-time setup of an app. It runs unless the path in `creates` exists, as the app's user,
/// and its output goes to the log. Other apps start meanwhile. If it fails, the app has failed;
/// `appliance start NAME` runs it again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// Program and arguments.
    ///
    /// Type: list of strings. Required. Example: `["./make-venv", "--quiet"]`.
    pub(crate) run: At<Vec<String>>,
    /// Path that the command creates. If the path is missing afterwards, the setup has failed.
    ///
    /// Type: path. Required. Example: `"venv"`.
    pub(crate) creates: At<String>,
    /// Variables in addition to the app's environment, which comes without its secrets.
    ///
    /// Type: table of strings. Default: `{}`. Example: `{ PIP_NO_CACHE_DIR = "1" }`.
    pub(crate) env: Option<BTreeMap<String, String>>,
}
