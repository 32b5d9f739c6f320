//! Whether the issuer grants refresh tokens, remembered in `<state_dir>/sessions/issuer`.
//!
//! A session cookie that carries the identity itself is valid only at an issuer that grants no
//! refresh tokens. Where the issuer grants them, nobody but a forger with the sealing keys has such
//! a cookie: a session that is refreshed at the issuer cannot be forged, because the issuer would
//! have to accept its refresh token.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::warn;

use super::state_files::{self, ISSUER};

const UNKNOWN: u8 = 0;
const NONE: u8 = 1;
const GRANTED: u8 = 2;

/// What the logins so far have shown about one issuer.
#[derive(Debug)]
pub(crate) struct RefreshTokens {
    path: PathBuf,
    issuer: String,
    seen: AtomicU8,
}

impl RefreshTokens {
    /// Reads what is known of `issuer`. What was known of another issuer does not count.
    pub(crate) fn open(dir: &Path, issuer: &str) -> io::Result<Self> {
        let path = dir.join(ISSUER);
        let bytes = state_files::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let seen = match text.trim_end().split_once('\n') {
            Some((known, "granted")) if known == issuer => GRANTED,
            Some((known, "none")) if known == issuer => NONE,
            _ => UNKNOWN,
        };
        Ok(Self { path, issuer: issuer.to_owned(), seen: AtomicU8::new(seen) })
    }

    /// Records whether a login brought a refresh token. One that did counts for good.
    pub(crate) fn record(&self, granted: bool) {
        let now = if granted { GRANTED } else { NONE };
        if self.seen.fetch_max(now, Ordering::Relaxed) >= now {
            return;
        }
        let word = if granted { "granted" } else { "none" };
        let text = format!("{}\n{word}\n", self.issuer);
        if let Err(error) = state_files::replace(&self.path, text.as_bytes()) {
            warn!(%error, "cannot record in state_dir whether the issuer grants refresh tokens");
        }
    }

    /// Whether a cookie that carries the identity itself is accepted: logins have shown that the
    /// issuer grants no refresh tokens.
    pub(crate) fn are_never_granted(&self) -> bool {
        self.seen.load(Ordering::Relaxed) == NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, issuer: &str) -> RefreshTokens {
        RefreshTokens::open(dir, issuer).unwrap()
    }

    #[test]
    fn only_logins_without_refresh_tokens_make_an_identity_acceptable() {
        let dir = tempfile::tempdir().unwrap();
        let known = open(dir.path(), "https://a");
        assert!(!known.are_never_granted(), "nobody has signed in yet");
        known.record(false);
        assert!(known.are_never_granted());
        assert!(open(dir.path(), "https://a").are_never_granted(), "after a restart");
        assert!(!open(dir.path(), "https://b").are_never_granted(), "another issuer");
        known.record(true);
        known.record(false);
        assert!(!known.are_never_granted());
        assert!(!open(dir.path(), "https://a").are_never_granted(), "after a restart");
    }

    #[test]
    fn a_damaged_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ISSUER), b"https://a\nno\xffne").unwrap();
        assert!(!open(dir.path(), "https://a").are_never_granted());
    }
}
