//! The folder in which a step of a setup works: its entry in a folder that is covered as a whole.
//!
//! A right for a folder of secrets would include the secrets that are made there later. Therefore the
//! appliance makes the entry before the step, and the step may change this entry only.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::config::ownership::nested::real;

/// The folder for one path that a step creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnFolder {
    /// The path is outside of the covered folders.
    Elsewhere,
    /// This entry of a covered folder is above the path.
    Entry(PathBuf),
    /// The path itself is an entry of a covered folder, and nothing can be made before the step.
    Bare,
}

impl OwnFolder {
    pub(super) fn of(creates: &Path, is_covered: impl Fn(&Path) -> bool) -> Self {
        let creates = without_links(creates);
        let above = || creates.ancestors().skip(1);
        let Some(covered) = above().find(|folder| is_covered(folder)) else {
            return Self::Elsewhere;
        };
        let entry = above().find(|folder| folder.parent() == Some(covered));
        entry.map_or(Self::Bare, |entry| Self::Entry(entry.to_path_buf()))
    }

    /// Makes the entry if it is missing. If that fails, the step meets the same problem and names it.
    pub(super) fn make(&self) {
        if let Self::Entry(folder) = self {
            let _ = DirBuilder::new().mode(0o755).create(folder);
        }
    }
}

/// The path with the symbolic links resolved of the folders above it that exist.
fn without_links(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_entry_of_the_lowest_covered_folder_is_made() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(at("project/state/venvs")).unwrap();
        symlink("project/state", at("link")).unwrap();
        let is_covered =
            |folder: &Path| [at("project"), at("project/state")].contains(&folder.into());
        let entry = |name: &str| OwnFolder::Entry(at(name));
        for (creates, wanted) in [
            ("project/state/venvs/a/.complete", entry("project/state/venvs")),
            ("project/state/new/.stamp", entry("project/state/new")),
            ("link/new/.stamp", entry("project/state/new")),
            ("project/web/node_modules/x", entry("project/web")),
            ("project/state/made", OwnFolder::Bare),
            ("project/made", OwnFolder::Bare),
            ("other/made", OwnFolder::Elsewhere),
        ] {
            let found = OwnFolder::of(&at(creates), is_covered);
            assert_eq!(found, wanted, "{creates}");
            found.make();
        }
        for (name, is_there) in
            [("state/new", true), ("web", true), ("state/made", false), ("made", false)]
        {
            assert_eq!(at("project").join(name).is_dir(), is_there, "{name}");
        }
    }
}
