//! Whether the program that a new connection has reached is the app: for the parts of the appliance
//! that send requests to apps.
//!
//! A ready app may close its listener for a moment. Any local program can then take the port, and
//! would receive requests until the next probe.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::owner::Owner;
use crate::config::{Ends, ListenerCheck, ListenerFault};
use crate::threads::Turn;

/// The listeners of the current incarnation of an app.
#[derive(Debug, Default)]
pub(crate) struct OwnListener {
    current: Mutex<Option<Current>>,
    /// No other incarnation of any app has this number; 0 if nothing is followed.
    number: AtomicU64,
}

#[derive(Clone)]
struct Current {
    owner: Arc<Owner>,
    /// Reports that another program listens.
    report: Arc<dyn Fn(&str) + Send + Sync>,
    /// For the checks that look at processes: an app whose looks take long delays its own connections.
    looking: Turn,
}

impl OwnListener {
    /// From now on, the listeners must belong to this owner.
    pub(crate) fn follow(&self, owner: Arc<Owner>, report: impl Fn(&str) + Send + Sync + 'static) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let current = Current { owner, report: Arc::new(report), looking: Turn::default() };
        self.number.store(LAST.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }
}

impl OwnListener {
    /// From now on, the app runs elsewhere: nothing is checked.
    pub(crate) fn forget(&self) {
        self.number.store(0, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ListenerCheck for OwnListener {
    fn incarnation(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    fn check(&self, connection: Ends) -> BoxFuture<'static, Result<(), ListenerFault>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(current) = current else { return Box::pin(ready(Ok(()))) };
        if current.owner.is_known_to_serve(connection) {
            return Box::pin(ready(Ok(())));
        }
        let turn = current.looking.clone();
        Box::pin(async move { turn.blocking(move || current.look(connection)).await })
    }
}

impl Current {
    fn look(&self, connection: Ends) -> Result<(), ListenerFault> {
        let checked = self.owner.check_connection(connection);
        if let Err(ListenerFault::Foreign(reason)) = &checked {
            (self.report)(reason);
        }
        checked
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("owner", &self.owner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::unistd::getpid;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::config::{App, Dial, LoopbackPort, ProbeKind, Upstream};
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::{app, probe};

    #[tokio::test]
    async fn a_look_at_processes_keeps_no_other_connection_waiting() {
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = bound.local_addr().unwrap();
        let stream = TcpStream::connect(peer).await.unwrap();
        let ends = Ends { local: stream.local_addr().unwrap(), peer };
        let dial = Dial::Loopback(LoopbackPort::new(peer.port()));
        let ready = probe(ProbeKind::Tcp(vec![Upstream::new(dial)]));
        let app = App { port: Some(peer.port()), ready: Some(ready), ..app("a", &["true"]) };
        let owner = Owner::new(&app, getpid(), 1, Reaper::unstarted());
        let (owner, listener) = (Arc::new(owner), OwnListener::default());
        assert_eq!(listener.check(ends).await, Ok(()), "the app runs elsewhere");
        listener.follow(Arc::clone(&owner), |_| {});
        let other_look = owner.busy();
        let (first, second) = (listener.check(ends), listener.check(ends));
        let both = async { tokio::join!(first, second) };
        tokio::pin!(both);
        // This thread is free meanwhile.
        assert!(timeout(Duration::from_millis(50), both.as_mut()).await.is_err());
        drop(other_look);
        let (first, second) = both.await;
        assert!(first.is_err() && second.is_err(), "the listener belongs to this test");
    }
}
