//! The files in `<state_dir>/sessions`: their names, their line format, and how they are read and
//! replaced.
//!
//! Beside the files that are named here, the folder holds one sealed proof per session that needs
//! it, under the session's id.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::auth::session::SessionId;

/// Sessions that ended before their lifetime was over; written by the ledger.
pub(crate) const ENDED: &str = "ended";
/// Whose sessions have ended, and until when; written by the logouts.
pub(crate) const ENDED_BEFORE: &str = "ended-before";
/// Logout tokens of the issuer that have been used; written by the logouts.
pub(crate) const LOGOUT_TOKENS: &str = "logout-tokens";
/// When each session was last used; written by the idle limit.
pub(crate) const LAST_USED: &str = "seen";
/// Whether the issuer grants refresh tokens.
pub(crate) const ISSUER: &str = "issuer";
/// Login attempts that have been used up; written by `login`.
pub(crate) const USED_ATTEMPTS: &str = "used";

/// The names that the session cookie has had.
pub(crate) const COOKIE_NAMES: &str = "names";

/// Whether a file of this name is one of the above, not a session's proof.
pub(crate) fn is_named(name: &std::ffi::OsStr) -> bool {
    let names =
        [ENDED, ENDED_BEFORE, LOGOUT_TOKENS, LAST_USED, ISSUER, USED_ATTEMPTS, COOKIE_NAMES];
    names.iter().any(|known| name == *known)
}

/// The content of a file; empty if the file does not exist.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes,
    }
}

/// Replaces a file by one rename, so that a reader sees the old content or the new one. The file is
/// readable only by its owner.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&temporary)?.write_all(bytes)?;
    std::fs::rename(temporary, path)
}

/// A line that holds a session and a time.
pub(crate) fn line(id: SessionId, at: u64) -> String {
    format!("{id} {at}\n")
}

/// The sessions and times of a text that [`line()`] wrote. Damaged lines are skipped.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (SessionId, u64)> {
    text.lines().filter_map(|line| {
        let (id, at) = line.split_once(' ')?;
        Some((SessionId::parse(id)?, at.parse().ok()?))
    })
}
