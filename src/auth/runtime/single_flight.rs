//! Single flight: concurrent callers that ask for the same work share one run of it.
//!
//! The work runs in a background task. A caller goes whenever a browser closes its connection. Work
//! that must not be lost then completes; other work stops when its last caller has gone.

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

type Running<K, V> = Mutex<HashMap<K, watch::Sender<Option<V>>>>;

/// One caller's share of a running piece of work.
#[derive(Debug)]
pub(crate) struct Flight<V>(watch::Receiver<Option<V>>);

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Joins the work that runs under `key`; `None` if none runs.
    pub(crate) fn join(&self, key: &K) -> Option<Flight<V>> {
        self.0.lock().get(key).map(|done| Flight(done.subscribe()))
    }

    /// Joins the work that runs under `key`, or starts `work` as a background task, which completes
    /// even if every caller has gone.
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
        if let Some(done) = running.get(&key) {
            return Flight(done.subscribe());
        }
        let (entry, flight) = self.enter(&mut running, key);
        let work = work();
        tasks.spawn(async move {
            let value = work.await;
            entry.complete(value);
        });
        flight
    }

    /// The same for work that stops when its last caller has gone.
    pub(crate) fn join_or_start_while_wanted<F>(
        &self,
        tasks: &Tasks,
        key: K,
        work: impl FnOnce() -> F,
    ) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.0.lock();
        if let Some(done) = running.get(&key) {
            return Flight(done.subscribe());
        }
        let (entry, flight) = self.enter(&mut running, key);
        let work = work();
        tasks.spawn(async move {
            tokio::select! {
                value = work => entry.complete(value),
                () = entry.abandoned() => {}
            }
        });
        flight
    }

    fn enter(
        &self,
        running: &mut HashMap<K, watch::Sender<Option<V>>>,
        key: K,
    ) -> (Entry<K, V>, Flight<V>) {
        let (done, flight) = watch::channel(None);
        running.insert(key.clone(), done.clone());
        (Entry { running: self.0.clone(), key, done }, Flight(flight))
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
    done: watch::Sender<Option<V>>,
}

impl<K: Eq + Hash, V> Entry<K, V> {
    /// The key is freed before the result is published: a caller that comes after the result starts
    /// new work, and every change that this work made is in place by then.
    fn complete(self, value: V) {
        let done = self.done.clone();
        drop(self);
        done.send_replace(Some(value));
    }

    /// Completes when the last caller has gone. The key is free then, so that nobody joins work
    /// that has stopped.
    async fn abandoned(&self) {
        loop {
            self.done.closed().await;
            let mut running = self.running.lock();
            if self.done.receiver_count() == 0 {
                running.remove(&self.key);
                return;
            }
        }
    }
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if running.get(&self.key).is_some_and(|done| done.same_channel(&self.done)) {
            running.remove(&self.key);
        }
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
    async fn work_that_nobody_wants_stops_and_frees_its_key() {
        let single = SingleFlight::<u8, u8>::new();
        let alive = Arc::new(());
        let start = || {
            let held = alive.clone();
            single.join_or_start_while_wanted(&tasks(), 1, || async move {
                std::future::pending::<()>().await;
                drop(held);
                0
            })
        };
        let (first, second) = (start(), start());
        drop(first);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(Arc::strong_count(&alive), 2, "one caller is left");
        drop(second);
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
        let next = single.join_or_start_while_wanted(&tasks(), 1, || async { 7 });
        assert_eq!(next.result().await, Some(7));
        assert!(single.join(&1).is_none());
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
