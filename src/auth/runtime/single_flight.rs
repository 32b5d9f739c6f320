//! Single flight: concurrent callers that ask for the same work share one run of it.
//!
//! The work runs in a background task. It completes even if every caller has gone, which happens
//! whenever a browser closes its connection.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::watch;

use super::mutex::Mutex;
use super::tasks::Tasks;

/// The work that currently runs, by key.
#[derive(Debug, Clone)]
pub(crate) struct SingleFlight<K, V>(Arc<Running<K, V>>);

type Running<K, V> = Mutex<HashMap<K, watch::Receiver<Option<V>>>>;

/// One caller's share of a running piece of work.
#[derive(Debug)]
pub(crate) struct Flight<V>(watch::Receiver<Option<V>>);

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Joins the work that runs under `key`; `None` if none runs.
    pub(crate) fn join(&self, key: &K) -> Option<Flight<V>> {
        self.0.lock().get(key).map(|flight| Flight(flight.clone()))
    }

    /// Joins the work that runs under `key`, or starts `work` as a background task.
    pub(crate) fn join_or_start<F>(
        &self,
        tasks: &Tasks,
        key: K,
        work: impl FnOnce() -> F,
    ) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.0.lock();
        if let Some(flight) = running.get(&key) {
            return Flight(flight.clone());
        }
        let (done, flight) = watch::channel(None);
        running.insert(key.clone(), flight.clone());
        let work = work();
        let entry = Entry { running: self.0.clone(), key };
        tasks.spawn(async move {
            let value = work.await;
            // The key is freed before the result is published: a caller that comes after the
            // result starts new work, and every change that this work made is in place by then.
            drop(entry);
            done.send_replace(Some(value));
        });
        Flight(flight)
    }
}

impl<V: Clone> Flight<V> {
    /// Waits for the result; `None` if the work panicked or its runtime has ended.
    pub(crate) async fn result(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Frees the key when the work ends, even by a panic.
struct Entry<K: Eq + Hash, V> {
    running: Arc<Running<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn tasks() -> Tasks {
        Tasks::new(tokio::runtime::Handle::current())
    }

    #[tokio::test]
    async fn twenty_callers_share_one_run() {
        let single = SingleFlight::<u8, usize>::new();
        let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let flights: Vec<_> = (0..20)
            .map(|_| {
                single.join_or_start(&tasks(), 1, || {
                    let (runs, go) = (runs.clone(), go.clone());
                    async move {
                        go.notified().await;
                        runs.fetch_add(1, Ordering::SeqCst)
                    }
                })
            })
            .collect();
        go.notify_one();
        for flight in flights {
            assert_eq!(flight.result().await, Some(0));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_completes_after_every_caller_has_gone() {
        let single = SingleFlight::<u8, ()>::new();
        let done = Arc::new(Notify::new());
        let completed = done.clone();
        drop(single.join_or_start(&tasks(), 1, || async move { completed.notify_one() }));
        done.notified().await;
    }

    #[tokio::test]
    async fn work_that_panics_frees_its_key() {
        let single = SingleFlight::<u8, u8>::new();
        let panicked = single.join_or_start(&tasks(), 1, || async { panic!("on purpose") });
        assert_eq!(panicked.result().await, None);
        let next = single.join_or_start(&tasks(), 1, || async { 7 });
        assert_eq!(next.result().await, Some(7));
    }
}
