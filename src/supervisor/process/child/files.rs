//! Look-ups of files that belong to one app. They wait as long as a disk does that no longer answers (NFS,
//! FUSE), so that neither the supervisor nor another app may wait for them.

use std::time::Duration;

use tokio::time::timeout;

use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::process::spawn_error::SpawnError;
use crate::threads::Turn;

/// How long a look-up is waited for. Longer than the kernel lets a program keep a lease on a file
/// (`/proc/sys/fs/lease-break-time`).
const LIMIT: Duration = Duration::from_mins(1);

/// The files of one app. All clones share one thread, however many look-ups never end.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    reaper: Reaper,
    turn: Turn,
}

impl Files {
    /// `turn`: that of the app, one piece of work at a time.
    pub(crate) fn new(reaper: &Reaper, turn: &Turn) -> Self {
        Self { reaper: reaper.clone(), turn: turn.clone() }
    }

    /// Does work that reads files.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoAnswer`]: the files do not answer. The work goes on, and what comes next waits for it.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SpawnError> {
        if self.reaper.answers_at_once() {
            return Ok(work());
        }
        timeout(LIMIT, self.turn.blocking(work)).await.map_err(|_| SpawnError::NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn files_that_do_not_answer_take_one_thread_and_no_other_app() {
        let reaper = Reaper::unstarted();
        let files = || Files::new(&reaper, &Turn::default());
        let (hung, other) = (files(), files());
        let (answer, answers) = mpsc::channel::<()>();
        // The clock of the test jumps while all tasks wait.
        let answered = hung.look(move || answers.recv().is_ok()).await;
        assert!(matches!(answered, Err(SpawnError::NoAnswer)), "{answered:?}");
        for _ in 0..3 {
            let next = hung.clone().look(|| ()).await;
            assert!(matches!(next, Err(SpawnError::NoAnswer)), "its turn has not come: {next:?}");
        }
        let reads = other.turn.blocking(|| 7);
        assert_eq!(reads.await, 7);
        answer.send(()).unwrap();
        assert_eq!(hung.turn.blocking(|| 8).await, 8, "the disk answers again");
    }
}
