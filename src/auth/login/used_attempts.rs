//! Login attempts that are used up: the last [`MOST`] of them, also over a restart.
//!
//! Whoever begins attempts and ends them with made-up codes costs a fixed amount of memory and of
//! disk. What such a flood pushes out could be redeemed once more, but only by the browser that
//! still holds its cookie.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::store::ledger;

/// Attempts that are remembered. Codes live for minutes, so this is for as many logins in that
/// time.
const MOST: usize = 2048;
/// Of one on the disk: mark and end.
const RECORD: usize = 24;

/// Stands for a state, which is a secret.
type Mark = [u8; 16];

/// See the module.
pub(crate) struct Used {
    /// Oldest first.
    known: VecDeque<Attempt>,
    /// A ring of [`MOST`] records.
    file: File,
    /// Where in it the next one goes.
    next: usize,
}

struct Attempt {
    mark: Mark,
    /// From then on its cookie opens nothing.
    ends: Millis,
    /// Empty from before our start.
    way_back: String,
}

impl Used {
    /// Opens `<dir>/used`, without those that ran out meanwhile.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(ledger::USED);
        let bytes = ledger::read(&path)?;
        let mut known: Vec<_> = bytes.as_chunks::<RECORD>().0.iter().map(Attempt::read).collect();
        known.retain(|attempt| clock::now() < attempt.ends);
        known.sort_unstable_by_key(|attempt| attempt.ends);
        let bytes: Vec<u8> = known.iter().flat_map(Attempt::record).collect();
        ledger::replace(&path, &bytes)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { next: known.len() % MOST, known: known.into(), file })
    }

    /// Uses an attempt up; `false` when it was before.
    pub(crate) fn note(&mut self, state: &str, ends: Millis, way_back: &str) -> bool {
        if self.find(state).is_some() {
            return false;
        }
        let attempt = Attempt { mark: mark(state), ends, way_back: way_back.to_owned() };
        // Into the page cache, before the code is redeemed.
        let at = (self.next * RECORD) as u64;
        if let Err(error) = self.file.write_all_at(&attempt.record(), at) {
            warn!(%error, "a login attempt that is used up could not be noted in state_dir");
        }
        self.next = (self.next + 1) % MOST;
        if self.known.len() == MOST {
            self.known.pop_front();
        }
        self.known.push_back(attempt);
        true
    }

    /// Where a used-up attempt led; `None` when there was none.
    pub(crate) fn way_back(&self, state: &str) -> Option<&str> {
        self.find(state).map(|attempt| attempt.way_back.as_str()).filter(|path| !path.is_empty())
    }

    fn find(&self, state: &str) -> Option<&Attempt> {
        let mark = mark(state);
        self.known.iter().find(|attempt| attempt.mark == mark)
    }
}

impl Attempt {
    fn read(record: &[u8; RECORD]) -> Self {
        let (mark, ends) = record.split_at(size_of::<Mark>());
        Self {
            mark: mark.try_into().unwrap_or_default(),
            ends: ends.try_into().map_or(0, Millis::from_be_bytes),
            way_back: String::new(),
        }
    }

    fn record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let (mark, ends) = record.split_at_mut(size_of::<Mark>());
        mark.copy_from_slice(&self.mark);
        ends.copy_from_slice(&self.ends.to_be_bytes());
        record
    }
}

fn mark(state: &str) -> Mark {
    let digest = Sha256::digest(state);
    std::array::from_fn(|at| digest[at])
}

impl std::fmt::Debug for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Used({})", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(seconds: u64) -> Millis {
        clock::now() + seconds * 1000
    }

    #[test]
    fn an_attempt_is_used_up_once_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = Used::open(dir.path()).unwrap();
        assert!(used.note("a.1", later(60), "/app"));
        assert!(!used.note("a.1", later(60), "/app"));
        assert_eq!((used.way_back("a.1"), used.way_back("a.2")), (Some("/app"), None));
        let mut again = Used::open(dir.path()).unwrap();
        assert!(!again.note("a.1", later(60), "/app"));
        assert!(again.note("a.2", later(60), "/app"));
    }

    #[test]
    fn a_flood_of_attempts_costs_a_fixed_amount() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = Used::open(dir.path()).unwrap();
        for n in 0..MOST + 10 {
            assert!(used.note(&n.to_string(), later(60 + n as u64), &"x".repeat(2000)));
        }
        assert_eq!(used.known.len(), MOST);
        let size = || std::fs::metadata(dir.path().join(ledger::USED)).unwrap().len();
        assert_eq!(size(), (MOST * RECORD) as u64);
        let mut again = Used::open(dir.path()).unwrap();
        assert_eq!(again.known.len(), MOST);
        assert!(again.note("new", later(60), "/") && again.find("10").is_none());
        assert!(again.find("11").is_some() && size() == (MOST * RECORD) as u64);
    }

    #[test]
    fn what_ran_out_and_what_is_torn_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut used = Used::open(dir.path()).unwrap();
        assert!(used.note("old", clock::now(), "/") && used.note("new", later(60), "/"));
        let path = dir.path().join(ledger::USED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([7; RECORD - 1]);
        std::fs::write(&path, bytes).unwrap();
        let again = Used::open(dir.path()).unwrap();
        assert!(again.find("old").is_none() && again.find("new").is_some());
        assert_eq!(again.known.len(), 1);
    }
}
