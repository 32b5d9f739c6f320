//! What presets need to know of the rest of the file, and of the place of an app in it.

use std::path::Path;

use crate::config::file;
use crate::config::grammar;
use crate::config::model::{LogFormat, PublicUrl};

/// What presets need to know of the rest of the file.
#[derive(Debug)]
pub(crate) struct Frame<'f> {
    pub(crate) dir: &'f Path,
    pub(crate) state_dir: &'f Path,
    /// What a setup makes and can make again; `CACHE_DIRECTORY`, else the state folder.
    pub(crate) cache_dir: &'f Path,
    pub(crate) public_url: &'f PublicUrl,
    pub(crate) log_format: LogFormat,
    pub(crate) oidc: Option<&'f file::Oidc>,
    /// The apps that browsers reach, and the host of each: of `public_url` if it has none itself.
    pub(crate) routed: &'f [(&'f str, Option<String>)],
}

/// The app's path without a trailing slash: empty at the root.
pub(super) fn own_path(table: &file::App) -> String {
    let path = table.path.as_ref().and_then(|at| grammar::prefix(at).ok()).unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}
