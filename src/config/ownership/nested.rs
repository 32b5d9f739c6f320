//! Whether one path leads through another one, by any of their names.

use std::path::{Path, PathBuf};

/// Whether one of the two paths leads through the other one.
pub(crate) fn are_nested(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The path without links, as far as it exists.
pub(crate) fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let Some((folder, real)) = found else { return path.to_owned() };
    path.strip_prefix(folder).map_or_else(|_| path.to_owned(), |rest| real.join(rest))
}
