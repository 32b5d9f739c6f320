//! The idle limit, which a restart does not lift: `<state_dir>/sessions/seen`.
//!
//! It says when each session was last used: as we end, and now and then while we run, so that
//! after a kill a session counts as unused a little earlier than it was. One that is not in it was
//! not used since its login.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::warn;

use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::mutex::Guarded;
use crate::auth::session::store::ledger;
use crate::auth::session::ticket::{SessionId, Ticket};

/// Between two notes at most, and as a part of the limit.
const PAUSE: Millis = 60_000;
const PART: Millis = 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Idle {
    limit: Millis,
    path: PathBuf,
    /// Sessions from before our start.
    asleep: Guarded<HashMap<SessionId, Millis>>,
    /// Held while it is written.
    writing: Guarded<()>,
    /// When it was last written.
    noted: AtomicU64,
}

impl Idle {
    pub(crate) fn open(dir: &Path, limit: Duration) -> io::Result<Self> {
        let path = dir.join(ledger::SEEN);
        let bytes = ledger::read(&path)?;
        // What is damaged in it costs its session an early end, not us our start.
        let text = String::from_utf8_lossy(&bytes);
        Ok(Self {
            limit: clock::millis(limit),
            path,
            asleep: Guarded::new(ledger::entries(&text).collect()),
            writing: Guarded::default(),
            noted: AtomicU64::new(clock::now()),
        })
    }

    /// When a session that was last used then is over.
    pub(crate) fn ends(&self, last_used: Millis) -> Millis {
        last_used.saturating_add(self.limit)
    }

    /// Whether a session that sleeps since our start is over.
    pub(crate) fn slept_through(&self, ticket: &Ticket, now: Millis) -> bool {
        let seen = self.asleep.lock().get(&ticket.id).copied();
        now >= self.ends(seen.unwrap_or(ticket.signed_in * 1000))
    }

    /// When the next note is due.
    pub(crate) fn next_note(&self) -> Millis {
        self.noted.load(Ordering::Relaxed) + PAUSE.min(self.limit / PART)
    }

    /// Writes down when each session was last used, if one was since it last did. Blocks on the
    /// disk.
    pub(crate) fn note(&self, used: &[(SessionId, Millis)], now: Millis) {
        let writing = self.writing.lock();
        let before = self.noted.swap(now, Ordering::Relaxed);
        if !used.iter().any(|(_, at)| *at >= before) {
            return;
        }
        let mut asleep = self.asleep.lock();
        asleep.retain(|_, seen| now < self.ends(*seen));
        let mut all = asleep.clone();
        drop(asleep);
        all.extend(used.iter().copied());
        let text: String = all.iter().map(|(id, at)| ledger::line(*id, *at)).collect();
        if let Err(error) = ledger::replace(&self.path, text.as_bytes()) {
            warn!(%error, "the last use of sessions could not be noted in state_dir");
        }
        drop(writing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::session::ticket::Proof;

    const LIMIT: Duration = Duration::from_secs(100);

    fn ticket(id: SessionId, signed_in: Millis) -> Ticket {
        Ticket { id, subject: "s".into(), signed_in: signed_in / 1000, proof: Proof::InLedger }
    }

    #[test]
    fn a_session_is_over_after_a_restart_when_it_would_have_been_without() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now() / 1000 * 1000;
        let [used, unused, unknown] = [(); 3].map(|()| SessionId::random());
        let idle = Idle::open(dir.path(), LIMIT).unwrap();
        idle.note(&[(used, now + 1000), (unused, now - 50_000)], now + 1000);
        // A second restart, before which nobody came.
        Idle::open(dir.path(), LIMIT).unwrap().note(&[(unknown, now + 2000)], now + 2000);
        let again = Idle::open(dir.path(), LIMIT).unwrap();
        let over = |id, at| again.slept_through(&ticket(id, now - 90_000), at);
        assert!(!over(used, now + 100_999) && over(used, now + 101_000));
        assert!(!over(unused, now + 49_999) && over(unused, now + 50_000));
        let stranger = SessionId::random();
        assert!(!over(stranger, now + 9_999) && over(stranger, now + 10_000));
    }

    #[test]
    fn nothing_is_written_while_nobody_comes() {
        let dir = tempfile::tempdir().unwrap();
        let idle = Idle::open(dir.path(), LIMIT).unwrap();
        let opened = idle.noted.load(Ordering::Relaxed);
        assert_eq!(idle.next_note(), opened + 10_000);
        idle.note(&[(SessionId::random(), opened - 1)], opened + 10_000);
        assert!(!dir.path().join(ledger::SEEN).exists());
        assert_eq!(idle.next_note(), opened + 20_000);
    }
}
