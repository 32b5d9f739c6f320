//! `[server] rate_limit`: the table form.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::shape::At;

/// How many requests one client may send.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Requests in a second, a minute or an hour.
    ///
    /// Type: string. Required. Example: `"50/s"`.
    pub(crate) rate: Option<At<String>>,
    /// Requests at once after a pause.
    ///
    /// Type: integer. Default: the number in `rate`. Example: `200`.
    pub(crate) burst: Option<At<i64>>,
}
