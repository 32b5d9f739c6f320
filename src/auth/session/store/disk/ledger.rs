//! The session ledger: what must survive a restart, in `<state_dir>/sessions`.
//!
//! It holds the ids of sessions that ended before their lifetime was over, so that their cookies
//! stay invalid after a restart, and the newest proof of each session whose browser has not
//! received it yet. Proofs are sealed. If the disk fails, only this protection is lost, and the log
//! says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::ended::Ended;
use super::journal::Journal;
use super::state_files::{self, ENDED, entries, line};
use crate::auth::cookie::{Binding, Keyring, Purpose};
use crate::auth::runtime::{Mutex, clock};
use crate::auth::session::{Proof, SessionId};
use crate::config::ownership::own_file::folder as own_folder;
use crate::config::reserved;

/// Ended sessions and kept proofs.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    keyring: Arc<Keyring>,
    /// Host and port of `public_url`; the proofs are bound to it.
    host: String,
    ended: Arc<Mutex<Ended>>,
    file: Arc<Mutex<Journal>>,
}

impl Ledger {
    /// Opens the ledger, creates its folder if needed, and removes what is older than `lifetime`,
    /// the longest life of a session.
    pub(crate) fn open(
        state_dir: &Path,
        keyring: Arc<Keyring>,
        host: String,
        lifetime: Duration,
    ) -> io::Result<Self> {
        let dir = state_dir.join(reserved::SESSIONS);
        own_folder(&dir)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))?;
        remove_old_proofs(&dir, lifetime)?;
        let ended = read_ended(&dir)?;
        let file = Arc::new(Mutex::new(Journal::write(dir.join(ENDED), &lines(&ended))?));
        Ok(Self { dir, keyring, host, ended: Arc::new(Mutex::new(ended)), file })
    }

    /// The same ledger with other keys, for another host.
    pub(crate) fn with(&self, keyring: Arc<Keyring>, host: String) -> Self {
        let (ended, file) = (Arc::clone(&self.ended), Arc::clone(&self.file));
        Self { dir: self.dir.clone(), keyring, host, ended, file }
    }

    /// The folder `<state_dir>/sessions`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the session ended before its lifetime was over.
    pub(crate) fn has_ended(&self, id: SessionId) -> bool {
        self.ended.lock().contains(id)
    }

    /// Marks the session as ended, in memory; its cookie would have expired at `until`, seconds
    /// since 1970. [`Self::record`] writes the mark to the disk.
    pub(crate) fn end(&self, id: SessionId, until: u64) {
        self.ended.lock().insert(id, until, clock::now() / 1000);
    }

    /// Writes to the disk that the session has ended, and removes its proof. One short append into
    /// the page cache; does not wait for the disk.
    pub(crate) fn record(&self, id: SessionId, until: u64) {
        if let Err(error) = self.append(&line(id, until)) {
            warn!(%error, "cannot record in state_dir that a session has ended");
        }
        self.forget_proof(id);
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = self.file.lock();
        file.append(line, || self.ended.lock().len(), || lines(&self.ended.lock()))
    }

    /// Keeps the newest proof of a session, in place of an older one. Blocks on the disk.
    pub(crate) fn keep_proof(&self, id: SessionId, proof: &Proof) {
        let Ok(plain) = postcard::to_stdvec(proof) else { return };
        let name = id.to_string();
        let text = self.keyring.seal(self.binding(&name), &plain);
        if let Err(error) = state_files::replace(&self.dir.join(&name), text.as_bytes()) {
            warn!(%error, "cannot keep a session in state_dir; it may not survive a restart");
            // An older proof is worse than none: it may be a refresh token that has been used, and
            // using it again may end the session at the issuer.
            self.forget_proof(id);
        }
    }

    /// The kept proof of a session, if any. Blocks on the disk.
    pub(crate) fn kept_proof(&self, id: SessionId) -> Option<Proof> {
        let name = id.to_string();
        let text = std::fs::read(self.dir.join(&name)).ok()?;
        postcard::from_bytes(&self.keyring.open(self.binding(&name), &text)?).ok()
    }

    /// Removes the kept proof of a session, if any.
    pub(crate) fn forget_proof(&self, id: SessionId) {
        // Most sessions have no kept proof, so a missing file is not an error.
        drop(std::fs::remove_file(self.dir.join(id.to_string())));
    }

    fn binding<'a>(&'a self, name: &'a str) -> Binding<'a> {
        Binding { purpose: Purpose::Ledger, name, host: &self.host }
    }
}

fn lines(ended: &Ended) -> String {
    ended.iter().map(|(id, until)| line(id, until)).collect()
}

fn read_ended(dir: &Path) -> io::Result<Ended> {
    let bytes = state_files::read(&dir.join(ENDED))?;
    let text = String::from_utf8_lossy(&bytes);
    let damaged = text.lines().count() - entries(&text).count();
    if damaged > 0 {
        warn!(
            lines = damaged,
            file = ENDED,
            "skipped damaged lines of a file in state_dir/sessions"
        );
    }
    let now = clock::now() / 1000;
    let mut ended = Ended::default();
    for (id, until) in entries(&text) {
        ended.insert(id, until, now);
    }
    Ok(ended)
}

fn remove_old_proofs(dir: &Path, lifetime: Duration) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_old = || Some(entry.metadata().ok()?.modified().ok()?.elapsed().ok()? > lifetime);
        if !state_files::is_named(&entry.file_name()) && is_old() == Some(true) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use base64::Engine as _;

    use super::super::journal::SPARE_LINES;
    use super::*;

    fn open(dir: &Path) -> Ledger {
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        let keyring = Arc::new(Keyring::parse(&key).unwrap());
        Ledger::open(dir, keyring, "localhost".into(), Duration::from_mins(1)).unwrap()
    }

    fn end(ledger: &Ledger, id: SessionId, until: u64) {
        ledger.end(id, until);
        ledger.record(id, until);
    }

    #[test]
    fn an_ended_session_stays_ended_until_its_lifetime_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let (ended, over) = (SessionId::random(), SessionId::random());
        let ledger = open(dir.path());
        assert!(!ledger.has_ended(ended));
        end(&ledger, ended, clock::now() / 1000 + 60);
        end(&ledger, over, clock::now() / 1000 - 1);
        let again = open(dir.path());
        assert!(again.has_ended(ended));
        assert!(!again.has_ended(over));
        assert!(open(dir.path()).has_ended(ended));
    }

    #[test]
    fn the_file_of_ended_sessions_does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path());
        let now = clock::now() / 1000;
        let last = SessionId::random();
        end(&ledger, last, now + 60);
        for _ in 0..SPARE_LINES + 10 {
            end(&ledger, SessionId::random(), now);
        }
        let path = dir.path().join("sessions").join(ENDED);
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines < 20, "{lines}");
        assert!(open(dir.path()).has_ended(last));
    }

    #[test]
    fn a_kept_proof_is_sealed_and_readable_only_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        open(dir.path()).keep_proof(id, &Proof::Refresh("rt-secret".into()));
        let path = dir.path().join("sessions").join(id.to_string());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("rt-secret"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = open(dir.path());
        assert_eq!(again.kept_proof(id), Some(Proof::Refresh("rt-secret".into())));
        assert_eq!(again.kept_proof(SessionId::random()), None);
        end(&again, id, clock::now() / 1000 + 60);
        assert_eq!(again.kept_proof(id), None);
    }

    #[test]
    fn a_proof_moved_to_another_session_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (SessionId::random(), SessionId::random());
        let ledger = open(dir.path());
        ledger.keep_proof(one, &Proof::Refresh("rt".into()));
        let sessions = dir.path().join("sessions");
        std::fs::rename(sessions.join(one.to_string()), sessions.join(two.to_string())).unwrap();
        assert_eq!(ledger.kept_proof(two), None);
    }

    #[test]
    fn a_truncated_line_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        end(&open(dir.path()), id, clock::now() / 1000 + 60);
        let path = dir.path().join("sessions").join(ENDED);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"0123").unwrap();
        assert!(open(dir.path()).has_ended(id));
    }

    #[test]
    fn damaged_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (SessionId::random(), SessionId::random());
        let until = clock::now() / 1000 + 60;
        end(&open(dir.path()), before, until);
        let path = dir.path().join("sessions").join(ENDED);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"\xff\xfe\0\n\n").unwrap();
        file.write_all(line(after, until).as_bytes()).unwrap();
        let again = open(dir.path());
        assert!(again.has_ended(before) && again.has_ended(after));
    }

    #[test]
    fn a_line_after_a_failed_write_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (lost, next) = (SessionId::random(), SessionId::random());
        let until = clock::now() / 1000 + 60;
        let ledger = open(dir.path());
        let read_only = File::open(dir.path().join("sessions").join(ENDED)).unwrap();
        ledger.file.lock().file = read_only;
        end(&ledger, lost, until);
        end(&ledger, next, until);
        let again = open(dir.path());
        assert!(again.has_ended(lost) && again.has_ended(next));
    }
}
