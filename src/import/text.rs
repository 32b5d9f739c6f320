//! Reads the text of a file that somebody names, or that a named file includes.

use std::path::Path;

use crate::config::ownership::operator_file;

/// Larger than any file of a known kind, bytes.
pub(super) const LARGEST: u64 = 1 << 20;

/// The text of a plain file; the error says what is wrong with it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    operator_file::read_text(path, LARGEST).map_err(|error| error.to_string())
}
