//! The output of runs that have ended while other processes hold its pipe: daemons that are not recognised,
//! or programs that got the pipe passed on. Each costs two descriptors and two tasks, so that an app that
//! leaves such a process at each of its restarts would use up the descriptors of the appliance.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

/// Runs of one app whose output is read after their end. A program that is replaced in good order leaves
/// one at most. More, because the output of a run also lasts while nobody reads the log.
const RUNS: usize = 32;

/// What still reads the output of former runs, by the number of the app; the newest run last.
#[derive(Debug, Default)]
pub(super) struct FormerOutput(Mutex<HashMap<u64, VecDeque<Vec<JoinHandle<()>>>>>);

impl FormerOutput {
    /// Keeps what reads the output of a run that has ended. Returns how many older runs are no longer read:
    /// their processes find a closed pipe.
    pub(super) fn keep(&self, app: u64, readers: Vec<JoinHandle<()>>) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for runs in all.values_mut() {
            runs.retain(|run| is_read(run));
        }
        all.retain(|_, runs| !runs.is_empty());
        if !is_read(&readers) {
            return 0;
        }
        let runs = all.entry(app).or_default();
        runs.push_back(readers);
        let over = runs.len().saturating_sub(RUNS);
        runs.drain(..over).flatten().for_each(|reader| reader.abort());
        over
    }
}

fn is_read(run: &[JoinHandle<()>]) -> bool {
    run.iter().any(|reader| !reader.is_finished())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_newest_runs_of_each_app_are_read() {
        let former = FormerOutput::default();
        let (held, pipes): (Vec<_>, Vec<_>) =
            (0..3 * RUNS).map(|_| tokio::sync::oneshot::channel::<()>()).unzip();
        let run = |pipe| vec![tokio::spawn(async move { drop(pipe.await) })];
        let mut pipes = pipes.into_iter();
        // Runs whose output has ended do not count.
        for _ in 0..RUNS {
            let done = tokio::spawn(async {});
            while !done.is_finished() {
                tokio::task::yield_now().await;
            }
            assert_eq!(former.keep(1, vec![done]), 0);
        }
        for _ in 0..RUNS {
            assert_eq!(former.keep(1, run(pipes.next().unwrap())), 0);
        }
        assert_eq!(former.keep(2, run(pipes.next().unwrap())), 0, "another app");
        for _ in 0..3 {
            assert_eq!(former.keep(1, run(pipes.next().unwrap())), 1);
        }
        for (at, held) in held.iter().enumerate().take(RUNS + 4) {
            let mut turns = 0;
            while !held.is_closed() && turns < 100 {
                tokio::task::yield_now().await;
                turns += 1;
            }
            assert_eq!(held.is_closed(), at < 3, "run {at}");
        }
    }
}
