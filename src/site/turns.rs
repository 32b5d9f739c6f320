//! The work with the files of one site, on other threads, of which it takes a few only: a file system
//! that never answers keeps no other work waiting.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::threads::Turn;

/// How many threads work for one site. More requests wait for their turn.
const AT_ONCE: usize = 16;
/// How long a request waits for one step. A network share that is gone never answers.
const LONGEST: Duration = Duration::from_secs(30);

/// The turns of one site. All clones share them.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    turn: Turn,
    longest: Duration,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    /// The process has no descriptor left.
    #[error("no descriptor is left")]
    Exhausted,
    /// The file system did not answer in time.
    #[error("the file system does not answer")]
    Late,
    /// The file or the folder cannot be read.
    #[error(transparent)]
    Unreadable(io::Error),
}

impl Default for Turns {
    fn default() -> Self {
        Self { turn: Turn::of(AT_ONCE), longest: LONGEST }
    }
}

impl Turns {
    /// Works on another thread when it is the turn of this work.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SiteError> {
        timeout(self.longest, self.turn.blocking(work)).await.map_err(|_| SiteError::Late)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_keeps_its_turn_and_nobody_waits_for_ever() {
        let turns = Turns { longest: Duration::from_millis(200), ..Turns::default() };
        let (tell, told) = mpsc::channel::<()>();
        let told = Arc::new(std::sync::Mutex::new(told));
        let hung = (0..AT_ONCE).map(|_| {
            let told = Arc::clone(&told);
            turns.work(move || told.lock().unwrap().recv().is_ok())
        });
        let hung = futures_util::future::join_all(hung).await;
        assert!(hung.iter().all(|done| matches!(done, Err(SiteError::Late))));
        assert!(matches!(turns.work(|| 7).await, Err(SiteError::Late)));
        assert_eq!(Turns::default().work(|| 7).await.unwrap(), 7);
        drop(tell);
        while turns.work(|| 7).await.is_err() {}
    }
}
