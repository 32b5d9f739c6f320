//! Login attempts that have been used up: the last [`MAX`] of them, also across a restart.
//!
//! A flood of attempts with invented codes costs a fixed amount of memory and disk. An attempt that
//! the flood pushes out could be used once more, but only by the browser that still has its cookie.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tracing::warn;

use super::cookie::{StateHash, state_hash};
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::store::state_files::{self, USED_ATTEMPTS};

/// How many attempts are remembered. Codes are valid for minutes, so this allows as many logins in
/// that time.
const MAX: usize = 2048;
/// Size of one attempt on the disk, bytes: hash and expiry.
const RECORD: usize = 24;

/// The attempts that have been used up.
pub(in crate::auth::login) struct UsedAttempts {
    /// Oldest first.
    known: VecDeque<UsedAttempt>,
    /// A ring buffer of [`MAX`] records.
    file: File,
    /// Index of the record that is written next.
    next: usize,
}

struct UsedAttempt {
    hash: StateHash,
    /// When the attempt expires; its cookie is worthless from then on.
    ends: Millis,
}

impl UsedAttempts {
    /// Reads `<dir>/used` and drops the attempts that have expired.
    pub(in crate::auth::login) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(USED_ATTEMPTS);
        let bytes = state_files::read(&path)?;
        let mut known: Vec<_> =
            bytes.as_chunks::<RECORD>().0.iter().map(UsedAttempt::read).collect();
        known.retain(|attempt| clock::now() < attempt.ends);
        known.sort_unstable_by_key(|attempt| attempt.ends);
        let bytes: Vec<u8> = known.iter().flat_map(UsedAttempt::record).collect();
        state_files::replace(&path, &bytes)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { next: known.len() % MAX, known: known.into(), file })
    }

    /// Marks an attempt as used up. Returns `false` if it already was.
    pub(in crate::auth::login) fn add(&mut self, state: &str, ends: Millis) -> bool {
        if self.contains(state) {
            return false;
        }
        let attempt = UsedAttempt { hash: state_hash(state), ends };
        // The record is in the page cache before the code is exchanged.
        let at = (self.next * RECORD) as u64;
        if let Err(error) = self.file.write_all_at(&attempt.record(), at) {
            warn!(%error, "cannot record a used login attempt in state_dir");
        }
        self.next = (self.next + 1) % MAX;
        if self.known.len() == MAX {
            self.known.pop_front();
        }
        self.known.push_back(attempt);
        true
    }

    /// Whether an attempt has been used up.
    pub(in crate::auth::login) fn contains(&self, state: &str) -> bool {
        let hash = state_hash(state);
        self.known.iter().any(|attempt| attempt.hash == hash)
    }
}

impl UsedAttempt {
    fn read(record: &[u8; RECORD]) -> Self {
        let (hash, ends) = record.split_at(size_of::<StateHash>());
        Self {
            hash: hash.try_into().unwrap_or_default(),
            ends: ends.try_into().map_or(0, Millis::from_be_bytes),
        }
    }

    fn record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let (hash, ends) = record.split_at_mut(size_of::<StateHash>());
        hash.copy_from_slice(&self.hash);
        ends.copy_from_slice(&self.ends.to_be_bytes());
        record
    }
}

impl std::fmt::Debug for UsedAttempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UsedAttempts({})", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(seconds: u64) -> Millis {
        clock::now() + seconds * 1000
    }

    #[test]
    fn an_attempt_is_used_up_once_even_across_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = UsedAttempts::open(dir.path()).unwrap();
        assert!(used.add("a.1", later(60)));
        assert!(!used.add("a.1", later(60)));
        assert!(used.contains("a.1") && !used.contains("a.2"));
        let mut again = UsedAttempts::open(dir.path()).unwrap();
        assert!(!again.add("a.1", later(60)));
        assert!(again.add("a.2", later(60)));
    }

    #[test]
    fn a_flood_of_attempts_costs_a_fixed_amount_of_memory_and_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = UsedAttempts::open(dir.path()).unwrap();
        for n in 0..MAX + 10 {
            assert!(used.add(&n.to_string(), later(60 + n as u64)));
        }
        assert_eq!(used.known.len(), MAX);
        let size = || std::fs::metadata(dir.path().join(USED_ATTEMPTS)).unwrap().len();
        assert_eq!(size(), (MAX * RECORD) as u64);
        let mut again = UsedAttempts::open(dir.path()).unwrap();
        assert_eq!(again.known.len(), MAX);
        assert!(again.add("new", later(60)) && !again.contains("10"));
        assert!(again.contains("11") && size() == (MAX * RECORD) as u64);
    }

    #[test]
    fn expired_attempts_and_truncated_records_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = UsedAttempts::open(dir.path()).unwrap();
        assert!(used.add("old", clock::now()) && used.add("new", later(60)));
        let path = dir.path().join(USED_ATTEMPTS);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([7; RECORD - 1]);
        std::fs::write(&path, bytes).unwrap();
        let again = UsedAttempts::open(dir.path()).unwrap();
        assert!(!again.contains("old") && again.contains("new"));
        assert_eq!(again.known.len(), 1);
    }
}
