//! Whether the folder of a site can be served on this machine.

use std::path::Path;

use nix::unistd::geteuid;

use crate::config::model::StaticFiles;
use crate::config::ownership::trusted_path::{Trusted, follow};

/// Checks the folder and its first page. `dir`: the folder of the configuration. The error is a sentence,
/// with its help after `; `.
pub(super) fn check(files: &StaticFiles, dir: &Path) -> Result<(), String> {
    let folder = &files.folder;
    match folder.metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(format!(
                "{} is not a folder; write the path of a folder",
                folder.display()
            ));
        }
        Err(error) => {
            return Err(format!(
                "{}: {error}; build the site, or correct the path of the folder",
                folder.display()
            ));
        }
    }
    if geteuid().is_root() {
        // Root may read everything: another user must not choose the folder.
        let trusted = Trusted::ourselves().and_owner_of(dir);
        follow(folder, &trusted).map_err(|untrusted| untrusted.to_string())?;
    }
    if folder.join(&files.index).is_file() {
        return Ok(());
    }
    let (index, folder) = (&files.index, folder.display());
    Err(format!("there is no {index} in {folder}; create it, or name another file as `index`"))
}
