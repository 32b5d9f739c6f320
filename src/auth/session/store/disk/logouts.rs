//! What must be remembered of logouts, also over a restart, in `<state_dir>/sessions`: which logout
//! tokens of the issuer have been used, and whose sessions have ended although they are not in memory.
//!
//! If the disk fails, only the protection over a restart is lost, and the log says so.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::warn;

use super::ended::Ended;
use super::ended_before::{self, EndedBefore, Key, Mark};
use super::journal::Journal;
use super::state_files::{self, ENDED_BEFORE, LOGOUT_TOKENS};
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::SessionId;

/// Used logout tokens, and ends by name.
#[derive(Debug)]
pub(crate) struct Logouts {
    tokens: Mutex<Ended<Key>>,
    tokens_file: Mutex<Journal>,
    ends: Mutex<EndedBefore>,
    ends_file: Mutex<Journal>,
    /// Notified after each end by name.
    pub(crate) more: Notify,
}

impl Logouts {
    /// Reads what is remembered in `dir`. `lifetime` is the longest life of a session.
    pub(crate) fn open(dir: &Path, lifetime: Duration) -> io::Result<Self> {
        let (tokens_path, ends_path) = (dir.join(LOGOUT_TOKENS), dir.join(ENDED_BEFORE));
        let now = clock::now();
        let mut tokens = Ended::default();
        let text = state_files::read(&tokens_path)?;
        for (key, until) in String::from_utf8_lossy(&text).lines().filter_map(token) {
            tokens.insert(key, until, now / 1000);
        }
        let text = state_files::read(&ends_path)?;
        let oldest = ended_before::oldest_needed(now, clock::millis(lifetime));
        let ends = EndedBefore::read(&String::from_utf8_lossy(&text), oldest);
        Ok(Self {
            tokens_file: Mutex::new(Journal::write(tokens_path, &token_lines(&tokens))?),
            ends_file: Mutex::new(Journal::write(ends_path, &ends.lines())?),
            tokens: Mutex::new(tokens),
            ends: Mutex::new(ends),
            more: Notify::new(),
        })
    }

    /// Uses up a logout token, which is not accepted any more from `ends` on. Returns `false` if it was
    /// used before.
    pub(crate) fn use_token(&self, id: &str, ends: Millis) -> bool {
        let (key, until) = (Key::token(id), ends.div_ceil(1000) + 1);
        if !self.tokens.lock().insert(key, until, clock::now() / 1000) {
            return false;
        }
        let mut file = self.tokens_file.lock();
        let written = file.append(
            &token_line(key, until),
            || self.tokens.lock().len(),
            || token_lines(&self.tokens.lock()),
        );
        if let Err(error) = written {
            warn!(%error, "cannot record in state_dir that a logout token was used");
        }
        true
    }

    /// Marks sessions as ended, in memory. [`Self::record`] writes the mark to the disk. Marks from
    /// before `oldest` are not needed any more.
    pub(crate) fn end(&self, key: Key, mark: Mark, oldest: Millis) {
        self.ends.lock().insert(key, mark, oldest);
        self.more.notify_one();
    }

    /// Writes a mark to the disk. One short append; does not wait for the disk.
    pub(crate) fn record(&self, key: Key, mark: Mark) {
        let mut file = self.ends_file.lock();
        let line = ended_before::line(key, mark);
        let written = file.append(&line, || self.ends.lock().len(), || self.ends.lock().lines());
        if let Err(error) = written {
            warn!(%error, "cannot record in state_dir that sessions have ended");
        }
    }

    /// Whether a session has ended that one of these keys names and whose login began at `began`.
    pub(crate) fn reach(
        &self,
        keys: impl IntoIterator<Item = Key>,
        id: SessionId,
        began: Millis,
    ) -> bool {
        let ends = self.ends.lock();
        keys.into_iter().any(|key| ends.reaches(key, id, began))
    }
}

fn token_line(key: Key, until: u64) -> String {
    format!("{key} {until}\n")
}

fn token_lines(tokens: &Ended<Key>) -> String {
    tokens.iter().map(|(key, until)| token_line(key, until)).collect()
}

fn token(line: &str) -> Option<(Key, u64)> {
    let (key, until) = line.split_once(' ')?;
    Some((Key::parse(key)?, until.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Logouts {
        Logouts::open(dir, Duration::from_hours(1)).unwrap()
    }

    #[test]
    fn a_logout_token_is_used_once_also_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let logouts = open(dir.path());
        let ends = clock::now() + 60_000;
        assert!(logouts.use_token("one", ends) && !logouts.use_token("one", ends));
        assert!(logouts.use_token("two", ends));
        let again = open(dir.path());
        assert!(!again.use_token("one", ends) && !again.use_token("two", ends));
        assert!(again.use_token("three", ends));
    }

    #[test]
    fn an_end_by_name_is_remembered_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (id, key, now) = (SessionId::random(), Key::subject("alice"), clock::now());
        let logouts = open(dir.path());
        let mark = Mark { at: now, except: None };
        logouts.end(key, mark, 0);
        logouts.record(key, mark);
        for logouts in [logouts, open(dir.path())] {
            assert!(logouts.reach([Key::issuer_session("alice"), key], id, now));
            assert!(!logouts.reach([key], id, now + 1));
            assert!(!logouts.reach([], id, now));
        }
    }

    #[test]
    fn the_file_of_used_tokens_does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let logouts = open(dir.path());
        let over = clock::now().saturating_sub(60_000);
        for number in 0..crate::auth::session::store::disk::journal::SPARE_LINES + 10 {
            logouts.use_token(&number.to_string(), over);
        }
        let text = std::fs::read_to_string(dir.path().join(LOGOUT_TOKENS)).unwrap();
        assert!(text.lines().count() < 20);
    }
}
