//! Where recent logins return to, in memory: for links that are too long for the attempt's cookie,
//! and for browsers that come back without that cookie.
//!
//! Whoever starts logins causes a fixed amount of memory. A path that such a flood pushes out, or
//! that a restart forgets, is replaced by `/`.

use std::collections::VecDeque;

use super::cookie::{StateHash, state_hash};
use crate::auth::runtime::Mutex;

/// How many paths are kept, and how many bytes of them.
const MAX_PATHS: usize = 2048;
const MAX_BYTES: usize = 512 * 1024;

/// The paths, by the state of their login.
#[derive(Debug, Default)]
pub(in crate::auth::login) struct ReturnPaths(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Oldest first.
    paths: VecDeque<(StateHash, Box<str>)>,
    bytes: usize,
}

impl ReturnPaths {
    /// Keeps the path of a login that begins.
    pub(in crate::auth::login) fn keep(&self, state: &str, path: &str) {
        let mut kept = self.0.lock();
        kept.bytes += path.len();
        kept.paths.push_back((state_hash(state), path.into()));
        while kept.paths.len() > MAX_PATHS || kept.bytes > MAX_BYTES {
            let oldest = kept.paths.pop_front();
            kept.bytes -= oldest.map_or(0, |(_, path)| path.len());
        }
    }

    /// The path of a login, if it is still known.
    pub(in crate::auth::login) fn find(&self, state: &str) -> Option<String> {
        let hash = state_hash(state);
        let kept = self.0.lock();
        kept.paths.iter().rev().find(|(known, _)| *known == hash).map(|(_, path)| path.to_string())
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({})", self.paths.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_path_goes_first() {
        let paths = ReturnPaths::default();
        for n in 0..=MAX_PATHS {
            paths.keep(&format!("state-{n}"), &format!("/app/{n}"));
        }
        assert_eq!(paths.find("state-0"), None);
        assert_eq!(paths.find("state-1").as_deref(), Some("/app/1"));
        assert_eq!(paths.find("other"), None);
    }

    #[test]
    fn long_paths_cost_a_fixed_amount() {
        let paths = ReturnPaths::default();
        for n in 0..200 {
            paths.keep(&format!("state-{n}"), &"x".repeat(15_000));
        }
        assert!(paths.0.lock().bytes <= MAX_BYTES);
        assert!(paths.find("state-199").is_some() && paths.find("state-0").is_none());
        paths.keep("huge", &"x".repeat(MAX_BYTES + 1));
        let kept = paths.0.lock();
        assert_eq!((kept.bytes, kept.paths.len()), (0, 0));
    }
}
