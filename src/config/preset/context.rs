//! What presets need to know about the rest of the file.

use std::path::Path;

use super::places::Places;
use crate::config::file;
use crate::config::grammar;
use crate::config::model::{Listen, LogFormat, PublicUrl};

/// What presets need to know about the rest of the file.
#[derive(Debug)]
pub(crate) struct PresetContext<'f> {
    pub(crate) dir: &'f Path,
    pub(crate) places: &'f Places<'f>,
    pub(crate) public_url: &'f PublicUrl,
    /// `[server] listen`
    pub(crate) listen: &'f [Listen],
    /// These addresses speak only TLS.
    pub(crate) speaks_tls: bool,
    /// `[server] title`
    pub(crate) title: Option<&'f str>,
    pub(crate) log_format: LogFormat,
    pub(crate) oidc: Option<&'f file::Oidc>,
    /// The apps that browsers reach, and the host of each: of `public_url` if it has none itself.
    pub(crate) routed: &'f [(&'f str, Option<String>)],
}

/// The app's path without a trailing slash; empty for the root.
pub(super) fn own_path(table: &file::App) -> String {
    let path = table.path.as_ref().and_then(|at| grammar::prefix(at).ok()).unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}
