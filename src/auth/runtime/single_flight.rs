//! Work that is done once for everybody who waits for it.
//!
//! The work runs in a task of its own: it ends also when all who waited have gone, as browsers do.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::runtime::mutex::Guarded;
use crate::auth::runtime::tasks::Tasks;

/// Works under way, by key.
#[derive(Debug)]
pub(crate) struct Flights<K, V>(Arc<Landings<K, V>>);

type Landings<K, V> = Guarded<HashMap<K, watch::Receiver<Option<V>>>>;

/// A work under way, for one who waits.
#[derive(Debug)]
pub(crate) struct Flight<V>(watch::Receiver<Option<V>>);

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::new(Guarded::new(HashMap::new())))
    }

    /// Joins the work under this key, if there is one.
    pub(crate) fn under_way(&self, key: &K) -> Option<Flight<V>> {
        self.0.lock().get(key).map(|flight| Flight(flight.clone()))
    }

    /// Joins the work under this key, or begins it.
    pub(crate) fn join<F>(&self, tasks: &Tasks, key: K, work: impl FnOnce() -> F) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&key) {
            return Flight(flight.clone());
        }
        let (landed, flight) = watch::channel(None);
        flights.insert(key.clone(), flight.clone());
        let work = work();
        let departure = Departure { flights: self.0.clone(), key };
        tasks.spawn(async move {
            let value = work.await;
            // Whoever comes from here on begins anew; all that the work changed is in place.
            drop(departure);
            landed.send_replace(Some(value));
        });
        Flight(flight)
    }
}

impl<V: Clone> Flight<V> {
    /// Waits for the end; `None` when the work died.
    pub(crate) async fn landed(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Takes the key away also when the work panics.
struct Departure<K: Eq + Hash, V> {
    flights: Arc<Landings<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Departure<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
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
    async fn twenty_wait_for_one_work() {
        let flights = Flights::<u8, usize>::new();
        let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                flights.join(&tasks(), 1, || {
                    let (begun, go) = (begun.clone(), go.clone());
                    async move {
                        go.notified().await;
                        begun.fetch_add(1, Ordering::SeqCst)
                    }
                })
            })
            .collect();
        go.notify_one();
        for flight in waiting {
            assert_eq!(flight.landed().await, Some(0));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn it_ends_though_nobody_waits() {
        let flights = Flights::<u8, ()>::new();
        let done = Arc::new(Notify::new());
        let tell = done.clone();
        drop(flights.join(&tasks(), 1, || async move { tell.notify_one() }));
        done.notified().await;
    }

    #[tokio::test]
    async fn a_work_that_dies_does_not_block_its_key() {
        let flights = Flights::<u8, u8>::new();
        let died = flights.join(&tasks(), 1, || async { panic!("on purpose") });
        assert_eq!(died.landed().await, None);
        let next = flights.join(&tasks(), 1, || async { 7 });
        assert_eq!(next.landed().await, Some(7));
    }
}
