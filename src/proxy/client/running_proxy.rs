//! The running proxy: starts the worker threads, gives them another proxy at a reload, and stops
//! them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::accept::{self, Move};
use super::addresses::{Addresses, Change};
use crate::config::Listen;
use crate::proxy::Proxy;
use crate::proxy::phases::route::hold;
use crate::proxy::socket::listen::{BindError, Held, Listeners};
use crate::proxy::socket::stop_stage::StopStage;

/// How long the workers may take to close their connections after the time for the stop is used up.
const LAST_CLOSE: Duration = Duration::from_millis(300);

/// A proxy that accepts connections.
#[derive(Debug)]
pub struct RunningProxy {
    door: Door,
    stop: watch::Sender<StopStage>,
    ended: mpsc::Receiver<()>,
    workers: usize,
}

/// Changes the running proxy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    newest: Arc<ArcSwap<Proxy>>,
    moves: Vec<mpsc::UnboundedSender<Move>>,
    addresses: Arc<Mutex<Addresses>>,
}

/// New listening sockets that no worker uses yet.
#[derive(Debug)]
pub struct NewAddresses {
    /// The new sockets, once for each worker.
    added: Vec<Listeners>,
    held: Vec<Held>,
    kept: Vec<Listen>,
    lingering: Vec<Listen>,
}

/// Reports the end of a worker thread, also when the thread panics.
struct EndReport(mpsc::Sender<()>);

impl Drop for EndReport {
    fn drop(&mut self) {
        // The channel has room for one message of each worker. The receiver may be gone.
        let _ = self.0.try_send(());
    }
}

impl Proxy {
    /// Starts one worker thread for each core that the process may use. The workers accept
    /// connections at once. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// A descriptor cannot be duplicated or a thread cannot be started.
    pub fn serve(self: Arc<Self>, listeners: Listeners) -> io::Result<RunningProxy> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let (stop, stopped) = watch::channel(StopStage::Running);
        let (end, ended) = mpsc::channel(workers);
        hold::observe(self.routes.all());
        self.take_over();
        let newest = Arc::new(ArcSwap::new(self));
        let mut moves = Vec::new();
        for number in 0..workers {
            let newest = Arc::clone(&newest);
            let listeners = listeners.share()?;
            let (stopped, end) = (stopped.clone(), end.clone());
            let (order, on_move) = mpsc::unbounded_channel();
            moves.push(order);
            thread::Builder::new().name(format!("proxy-{number}")).spawn(move || {
                let _report = EndReport(end);
                if let Err(error) = accept::run(newest, listeners, on_move, stopped) {
                    error!(%error, "a proxy worker could not start");
                }
            })?;
        }
        let addresses = Arc::new(Mutex::new(Addresses::new(&listeners)));
        // Only the workers hold the sockets now, so the sockets are closed when the workers stop.
        drop(listeners);
        Ok(RunningProxy { door: Door { newest, moves, addresses }, stop, ended, workers })
    }
}

impl Door {
    /// The proxy that serves the next request.
    pub fn proxy(&self) -> Arc<Proxy> {
        self.newest.load_full()
    }

    /// From the next request on, this proxy serves.
    pub fn replace(&self, proxy: Arc<Proxy>) {
        hold::observe(proxy.routes.all());
        proxy.take_over();
        self.newest.store(proxy);
    }

    /// Binds the addresses that are new. Nothing is accepted before [`Self::listen`].
    ///
    /// # Errors
    ///
    /// The address that cannot be bound.
    pub fn bind(&self, wanted: &[Listen]) -> Result<NewAddresses, BindError> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let Change { added: bound, kept, lingering } = addresses.bind(wanted)?;
        let shares = self.moves.iter().map(|_| bound.share()).collect::<io::Result<Vec<_>>>();
        let added = shares.map_err(|source| BindError { address: "listen".to_owned(), source })?;
        Ok(NewAddresses { added, held: bound.held(), kept, lingering })
    }

    /// Accepts connections on the new addresses, and closes those that are gone. Connections that
    /// came over them stay open.
    pub fn listen(&self, addresses: NewAddresses) {
        let NewAddresses { added, held, kept, lingering } = addresses;
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).follow(&kept, held);
        for (worker, added) in self.moves.iter().zip(added) {
            // A worker that has ended stops the appliance.
            let _ = worker.send(Move { added, kept: kept.clone(), lingering: lingering.clone() });
        }
    }
}

impl RunningProxy {
    /// Changes the proxy while it runs.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Returns when a worker thread has ended without a request to stop. That is a bug, and the
    /// appliance stops.
    pub async fn failed(&mut self) {
        self.ended.recv().await;
    }

    /// Stops the proxy. `/_appliance/ready` answers 503, no connection is accepted, idle connections
    /// and tunnels (code 1001) are closed, and requests in flight are finished. Returns when all
    /// workers have ended, or when `budget` is used up and the rest was closed.
    pub async fn drain(mut self, budget: Duration) {
        self.door.proxy().gate.stop();
        self.stop.send_replace(StopStage::Draining);
        if tokio::time::timeout(budget, self.all_ended()).await.is_err() {
            self.stop.send_replace(StopStage::Closing);
            // Connections that stay open after this time are closed with the process.
            let _ = tokio::time::timeout(LAST_CLOSE, self.all_ended()).await;
        }
    }

    async fn all_ended(&mut self) {
        while self.workers > 0 && self.ended.recv().await.is_some() {
            self.workers -= 1;
        }
    }
}
