//! The idle limit, which also holds across a restart.
//!
//! The file `<state_dir>/sessions/seen` says when each session was last used. It is written at a
//! stop and periodically, so after a kill a session may reach its limit slightly early. A session
//! that the file does not name counts as unused since its login.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::warn;

use super::disk::state_files::{self, LAST_USED};
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::{Activity, SessionId, Ticket};

/// Time between two writes of the file: a minute, or a tenth of the limit if that is shorter.
const MAX_SAVE_INTERVAL: Millis = 60_000;
const SAVES_PER_LIMIT: Millis = 10;
/// The shortest time by which requests of a page itself defer the end.
const MIN_DEFERRAL: Millis = 5_000;

/// The idle limit and the last uses of sessions that are not in memory.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Millis,
    path: PathBuf,
    /// Last uses of the sessions from before the start.
    before_start: Mutex<HashMap<SessionId, Millis>>,
    /// Locked while the file is written.
    writing: Mutex<()>,
    /// When the file was last written.
    saved: AtomicU64,
}

impl Idle {
    /// Reads the file in `dir`. Fails if the file exists and cannot be read.
    pub(super) fn open(dir: &Path, limit: Duration) -> io::Result<Self> {
        let path = dir.join(LAST_USED);
        let bytes = state_files::read(&path)?;
        // A damaged line only makes its session reach the limit early; it must not prevent the
        // start.
        let text = String::from_utf8_lossy(&bytes);
        Ok(Self {
            limit: clock::millis(limit),
            path,
            before_start: Mutex::new(state_files::entries(&text).collect()),
            writing: Mutex::default(),
            saved: AtomicU64::new(clock::now()),
        })
    }

    /// Whether the limit is this one.
    pub(super) fn is(&self, limit: Duration) -> bool {
        self.limit == clock::millis(limit)
    }

    /// When a session reaches the limit.
    pub(super) fn ends_of(&self, activity: Activity) -> Millis {
        self.ends(self.last_use(activity))
    }

    /// The time from which on the session counts as unused. Requests that a page sends by itself
    /// defer the end once, by the limit: otherwise a page that polls would keep the session for ever,
    /// and without them a person who reads and saves in one page would lose it in the middle.
    pub(super) fn last_use(&self, activity: Activity) -> Millis {
        let deferred = activity.used.saturating_add(self.limit.max(MIN_DEFERRAL));
        activity.requested.clamp(activity.used, deferred)
    }

    fn ends(&self, last_used: Millis) -> Millis {
        last_used.saturating_add(self.limit)
    }

    /// Whether a session that has not been restored since the start has reached the limit.
    pub(super) fn is_over(&self, ticket: &Ticket, now: Millis) -> bool {
        let last_used = self.before_start.lock().get(&ticket.id).copied();
        now >= self.ends(last_used.unwrap_or(ticket.signed_in * 1000))
    }

    /// When the file has to be written next.
    pub(super) fn next_save(&self) -> Millis {
        let interval = MAX_SAVE_INTERVAL.min(self.limit / SAVES_PER_LIMIT);
        self.saved.load(Ordering::Relaxed) + interval
    }

    /// Writes the file if a session has been used since the last write. `used`: the last use of
    /// each session in memory. Blocks on the disk.
    pub(super) fn save(&self, used: &[(SessionId, Millis)], now: Millis) {
        let writing = self.writing.lock();
        let before = self.saved.swap(now, Ordering::Relaxed);
        if !used.iter().any(|(_, at)| *at >= before) {
            return;
        }
        let mut before_start = self.before_start.lock();
        before_start.retain(|_, last_used| now < self.ends(*last_used));
        let mut all = before_start.clone();
        drop(before_start);
        all.extend(used.iter().copied());
        let text: String = all.iter().map(|(id, at)| state_files::line(*id, *at)).collect();
        if let Err(error) = state_files::replace(&self.path, text.as_bytes()) {
            warn!(%error, "cannot save the last use of sessions in state_dir");
        }
        drop(writing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::session::Proof;

    const LIMIT: Duration = Duration::from_secs(100);

    fn ticket(id: SessionId, signed_in: Millis) -> Ticket {
        Ticket {
            id,
            subject: "s".into(),
            signed_in: signed_in / 1000,
            proof: Proof::InLedger,
            until: u64::MAX,
            sid: None,
            groupless: false,
        }
    }

    #[test]
    fn a_restart_does_not_change_when_a_session_reaches_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let now = clock::now() / 1000 * 1000;
        let [used, unused, unknown] = [(); 3].map(|()| SessionId::random());
        let idle = Idle::open(dir.path(), LIMIT).unwrap();
        idle.save(&[(used, now + 1000), (unused, now - 50_000)], now + 1000);
        // A second restart, without a use of these sessions since the first one.
        Idle::open(dir.path(), LIMIT).unwrap().save(&[(unknown, now + 2000)], now + 2000);
        let again = Idle::open(dir.path(), LIMIT).unwrap();
        let over = |id, at| again.is_over(&ticket(id, now - 90_000), at);
        assert!(!over(used, now + 100_999) && over(used, now + 101_000));
        assert!(!over(unused, now + 49_999) && over(unused, now + 50_000));
        let stranger = SessionId::random();
        assert!(!over(stranger, now + 9_999) && over(stranger, now + 10_000));
    }

    #[test]
    fn requests_of_a_page_defer_the_end_once() {
        let dir = tempfile::tempdir().unwrap();
        let idle = Idle::open(dir.path(), LIMIT).unwrap();
        for (used, requested, ends) in [
            (1_000, 1_000, 101_000),
            (1_000, 51_000, 151_000),
            (1_000, 101_000, 201_000),
            (1_000, 190_000, 201_000),
            (190_000, 190_000, 290_000),
            // The clock of another thread may be slightly ahead.
            (2_000, 1_999, 102_000),
        ] {
            assert_eq!(idle.ends_of(Activity { used, requested }), ends, "{used} {requested}");
        }
        let short = Idle::open(dir.path(), Duration::from_secs(1)).unwrap();
        assert_eq!(short.ends_of(Activity { used: 0, requested: 60_000 }), 6_000);
    }

    #[test]
    fn nothing_is_written_while_no_session_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let idle = Idle::open(dir.path(), LIMIT).unwrap();
        let opened = idle.saved.load(Ordering::Relaxed);
        assert_eq!(idle.next_save(), opened + 10_000);
        idle.save(&[(SessionId::random(), opened - 1)], opened + 10_000);
        assert!(!dir.path().join(LAST_USED).exists());
        assert_eq!(idle.next_save(), opened + 20_000);
    }
}
