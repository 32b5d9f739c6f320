//! A folder with apps in place of a configuration file: says which apps it has, and takes up what
//! changes in it.

mod stamps;
mod watch;

use tracing::{info, warn};

use crate::config::{AppsFolder, Config};

pub(super) use watch::{Follower, follow};

/// Logs which apps the folder has and what is no app; after a reload, only what was not so before.
pub(super) fn log_found(before: Option<&Config>, after: &Config) {
    let Some(folder) = &after.apps_folder else { return };
    let none = AppsFolder::default();
    let known = before.and_then(|config| config.apps_folder.as_deref()).unwrap_or(&none);
    for app in folder.found.iter().filter(|app| !known.found.contains(app)) {
        info!(app = app.name, kind = app.kind, why = app.why, "the folder has an app");
    }
    for one in folder.left_out.iter().filter(|one| !known.left_out.contains(one)) {
        warn!(file = one.file, why = one.why, "a part of the folder is no app");
    }
    if folder.found.is_empty() {
        let folder = after.path.display();
        warn!(%folder, "the folder has no app: put a script of Streamlit or another framework into it");
    }
}
