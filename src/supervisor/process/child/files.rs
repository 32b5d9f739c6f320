//! Look-ups of files that belong to one app. They wait as long as a disk does that no longer answers (NFS,
//! FUSE), so that neither the supervisor nor another app may wait for them.

use std::time::Duration;

use tokio::time::timeout;

use crate::supervisor::process::reaper::Reaper;
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

    /// Does work that reads files; `None` if they do not answer. Then the work goes on, and what comes
    /// next waits for it.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.reaper.answers_at_once() {
            return Some(work());
        }
        timeout(LIMIT, self.turn.blocking(work)).await.ok()
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
        assert_eq!(hung.look(move || answers.recv().is_ok()).await, None);
        for _ in 0..3 {
            assert_eq!(hung.clone().look(|| ()).await, None, "its turn has not come");
        }
        let reads = other.turn.blocking(|| 7);
        assert_eq!(reads.await, 7);
        answer.send(()).unwrap();
        assert_eq!(hung.turn.blocking(|| 8).await, 8, "the disk answers again");
    }
}
