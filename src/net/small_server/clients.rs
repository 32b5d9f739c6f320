//! The connections of a small server: only so many, so that clients use up no descriptors. A client that
//! does not ask keeps no other client out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{AbortHandle, JoinSet};

/// Connections at the same time.
const CONNECTIONS: usize = 16;

/// Open connections, the oldest first. Dropping this closes them.
#[derive(Debug, Default)]
pub(super) struct Clients {
    open: VecDeque<Client>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Client {
    /// The head of its request has arrived.
    has_asked: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Clients {
    /// Makes room for one more connection: closes the oldest one that has not asked. If all have, waits
    /// for the end of one of them.
    pub(super) async fn room(&mut self) -> Arc<AtomicBool> {
        self.forget_ended();
        while self.open.len() >= CONNECTIONS {
            let idle = |client: &Client| !client.has_asked.load(Ordering::Relaxed);
            match self.open.iter().position(idle).and_then(|at| self.open.remove(at)) {
                Some(idle) => idle.task.abort(),
                None => drop(self.tasks.join_next().await),
            }
            self.forget_ended();
        }
        Arc::default()
    }

    /// Serves a connection, which sets `has_asked`.
    pub(super) fn add(
        &mut self,
        has_asked: Arc<AtomicBool>,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(serving);
        self.open.push_back(Client { has_asked, task });
    }

    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|client| !client.task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn add(clients: &mut Clients, asks: bool) -> AbortHandle {
        let has_asked = clients.room().await;
        has_asked.store(asks, Ordering::Relaxed);
        clients.add(has_asked, pending());
        clients.open.back().unwrap().task.clone()
    }

    #[tokio::test]
    async fn the_oldest_client_that_has_not_asked_makes_room() {
        let mut clients = Clients::default();
        let mut tasks = Vec::new();
        for number in 0..CONNECTIONS + 3 {
            tasks.push(add(&mut clients, number == 1).await);
        }
        tokio::task::yield_now().await;
        let closed: Vec<_> = (0..tasks.len()).filter(|at| tasks[*at].is_finished()).collect();
        assert_eq!(closed, [0, 2, 3]);
    }

    #[tokio::test]
    async fn a_client_waits_while_all_others_are_answered() {
        let mut clients = Clients::default();
        let first = add(&mut clients, true).await;
        for _ in 1..CONNECTIONS {
            add(&mut clients, true).await;
        }
        let waiting = timeout(Duration::from_millis(50), clients.room()).await;
        assert!(waiting.is_err() && !first.is_finished());
        first.abort();
        timeout(Duration::from_secs(5), clients.room()).await.unwrap();
    }
}
