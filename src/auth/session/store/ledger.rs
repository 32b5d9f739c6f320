//! What has to outlive us: `<state_dir>/sessions`.
//!
//! Two things: the ids of sessions that ended early, so that an old cookie stays dead over a
//! restart, and the newest proof of sessions whose browser has not taken it yet. Proofs are sealed.
//! A disk that refuses costs exactly that, and a line in the log.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::auth::cookie::seal::{Binding, Keyring, Purpose};
use crate::auth::runtime::clock;
use crate::auth::runtime::mutex::Guarded;
use crate::auth::session::ticket::{Proof, SessionId};
use crate::config::ownership::own_file::folder as own_folder;

const ENDED: &str = "ended";
/// Kept beside the ledger by [`super::used`].
pub(crate) const USED: &str = "used";
/// Kept beside the ledger by [`super::idle`].
pub(crate) const SEEN: &str = "seen";

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    keyring: Arc<Keyring>,
    host: String,
    /// Ended sessions: id → second from which on its cookie would be too old anyway.
    ended: Guarded<HashMap<SessionId, u64>>,
    file: Guarded<File>,
}

impl Ledger {
    /// Opens it, and forgets what is older than any session can be.
    pub(crate) fn open(
        state_dir: &Path,
        keyring: Arc<Keyring>,
        host: String,
        lifetime: Duration,
    ) -> io::Result<Self> {
        let dir = state_dir.join("sessions");
        own_folder(&dir)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))?;
        forget_old_proofs(&dir, lifetime)?;
        let ended = read_ended(&dir)?;
        // Written anew, so that it does not grow for ever.
        let path = dir.join(ENDED);
        let text: String = ended.iter().map(|(id, until)| line(*id, *until)).collect();
        replace(&path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { dir, keyring, host, ended: Guarded::new(ended), file: Guarded::new(file) })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the session ended before its time.
    pub(crate) fn has_ended(&self, id: SessionId) -> bool {
        self.ended.lock().contains_key(&id)
    }

    /// The session has ended and would have lived until that second. From here on
    /// [`Self::has_ended`]; [`Self::record`] makes it last.
    pub(crate) fn end(&self, id: SessionId, until: u64) {
        let now = clock::now() / 1000;
        let mut ended = self.ended.lock();
        ended.retain(|_, until| *until > now);
        ended.insert(id, until);
    }

    /// Writes it down. One short append, into the page cache.
    pub(crate) fn record(&self, id: SessionId, until: u64) {
        if let Err(error) = self.file.lock().write_all(line(id, until).as_bytes()) {
            warn!(%error, "an ended session could not be noted in state_dir");
        }
        self.forget(id);
    }

    /// Keeps the newest proof of a session. Blocks on the disk.
    pub(crate) fn keep(&self, id: SessionId, proof: &Proof) {
        let Ok(plain) = postcard::to_stdvec(proof) else { return };
        let name = id.to_string();
        let text = self.keyring.seal(self.binding(&name), &plain);
        if let Err(error) = replace(&self.dir.join(&name), text.as_bytes()) {
            warn!(%error, "a session could not be kept in state_dir: it may not survive a restart");
            // An older proof would be worse than none: it may be a refresh token that was used.
            self.forget(id);
        }
    }

    /// The kept proof.
    pub(crate) fn kept(&self, id: SessionId) -> Option<Proof> {
        let name = id.to_string();
        let text = std::fs::read(self.dir.join(&name)).ok()?;
        postcard::from_bytes(&self.keyring.open(self.binding(&name), &text)?).ok()
    }

    /// The kept proof is needed no longer.
    pub(crate) fn forget(&self, id: SessionId) {
        // Most sessions have none.
        drop(std::fs::remove_file(self.dir.join(id.to_string())));
    }

    fn binding<'a>(&'a self, name: &'a str) -> Binding<'a> {
        Binding { purpose: Purpose::Ledger, name, host: &self.host }
    }
}

/// What a file holds; nothing when it is not there yet.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => bytes,
    }
}

/// Sessions and times, as [`line`] writes them.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = (SessionId, u64)> {
    text.lines().filter_map(|line| {
        let (id, at) = line.split_once(' ')?;
        Some((SessionId::parse(id)?, at.parse().ok()?))
    })
}

/// A session and a time.
pub(crate) fn line(id: SessionId, at: u64) -> String {
    format!("{id} {at}\n")
}

fn read_ended(dir: &Path) -> io::Result<HashMap<SessionId, u64>> {
    let text = String::from_utf8(read(&dir.join(ENDED))?).map_err(io::Error::other)?;
    let now = clock::now() / 1000;
    Ok(entries(&text).filter(|(_, until)| *until > now).collect())
}

fn forget_old_proofs(dir: &Path, lifetime: Duration) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_old = || Some(entry.metadata().ok()?.modified().ok()?.elapsed().ok()? > lifetime);
        let is_proof = ![ENDED, USED, SEEN].iter().any(|name| entry.file_name() == *name);
        if is_proof && is_old() == Some(true) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&fresh)?.write_all(bytes)?;
    std::fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use base64::Engine as _;

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
    fn an_ended_session_stays_ended_until_it_would_have_expired() {
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
    fn a_proof_is_kept_sealed_and_for_us_alone() {
        let dir = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        open(dir.path()).keep(id, &Proof::Refresh("rt-secret".into()));
        let path = dir.path().join("sessions").join(id.to_string());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("rt-secret"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = open(dir.path());
        assert_eq!(again.kept(id), Some(Proof::Refresh("rt-secret".into())));
        assert_eq!(again.kept(SessionId::random()), None);
        end(&again, id, clock::now() / 1000 + 60);
        assert_eq!(again.kept(id), None);
    }

    #[test]
    fn a_proof_moved_to_another_session_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (SessionId::random(), SessionId::random());
        let ledger = open(dir.path());
        ledger.keep(one, &Proof::Refresh("rt".into()));
        let sessions = dir.path().join("sessions");
        std::fs::rename(sessions.join(one.to_string()), sessions.join(two.to_string())).unwrap();
        assert_eq!(ledger.kept(two), None);
    }

    #[test]
    fn a_torn_line_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        end(&open(dir.path()), id, clock::now() / 1000 + 60);
        let path = dir.path().join("sessions").join(ENDED);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"0123").unwrap();
        assert!(open(dir.path()).has_ended(id));
    }
}
