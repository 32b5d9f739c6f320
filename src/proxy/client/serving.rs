//! The open front door: its worker threads, and how they are stopped.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::error;

use super::accept;
use crate::proxy::Proxy;
use crate::proxy::socket::listen::Listeners;
use crate::proxy::socket::stop::Stop;

/// For workers to let go of what is left when the budget is used up.
const LAST: Duration = Duration::from_millis(300);

/// The open front door.
#[derive(Debug)]
pub struct Serving {
    proxy: Arc<Proxy>,
    stop: watch::Sender<Stop>,
    ended: mpsc::Receiver<()>,
    workers: usize,
}

/// Tells that a worker is over, also when it panics.
struct Ended(mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // There is room for one message of each worker; nobody listens after the end.
        let _ = self.0.try_send(());
    }
}

impl Proxy {
    /// Accepts on worker threads of its own, one for each core that we may use.
    pub fn serve(self: Arc<Self>, listeners: Listeners) -> io::Result<Serving> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let (stop, stopped) = watch::channel(Stop::No);
        let (end, ended) = mpsc::channel(workers);
        for number in 0..workers {
            let proxy = Arc::clone(&self);
            let listeners = listeners.share()?;
            let (stopped, end) = (stopped.clone(), end.clone());
            thread::Builder::new().name(format!("proxy-{number}")).spawn(move || {
                let _ended = Ended(end);
                if let Err(error) = accept::run(proxy, listeners, stopped) {
                    error!(%error, "a proxy worker could not start");
                }
            })?;
        }
        // From now on the workers alone hold the sockets: they are closed when the workers stop.
        drop(listeners);
        Ok(Serving { proxy: self, stop, ended, workers })
    }
}

impl Serving {
    /// Returns when a worker has ended although nobody asked it to: a bug, after which the
    /// appliance stops.
    pub async fn failed(&mut self) {
        self.ended.recv().await;
    }

    /// From now on `/_appliance/ready` says 503, nothing is accepted, idle connections and
    /// tunnels are closed (1001), requests in flight are finished; returns when all are, or when
    /// the budget is used up.
    pub async fn drain(mut self, budget: Duration) {
        self.proxy.gate.stop();
        self.stop.send_replace(Stop::Draining);
        if tokio::time::timeout(budget, self.all_ended()).await.is_err() {
            self.stop.send_replace(Stop::Now);
            // Whatever does not let go in time goes with the process.
            let _ = tokio::time::timeout(LAST, self.all_ended()).await;
        }
    }

    async fn all_ended(&mut self) {
        while self.workers > 0 && self.ended.recv().await.is_some() {
            self.workers -= 1;
        }
    }
}
