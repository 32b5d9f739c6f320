//! The running proxy: starts the worker threads and stops them.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::error;

use super::accept;
use crate::proxy::Proxy;
use crate::proxy::socket::listen::Listeners;
use crate::proxy::socket::stop_stage::StopStage;

/// How long the workers may take to close their connections after the time for the stop is used up.
const LAST_CLOSE: Duration = Duration::from_millis(300);

/// A proxy that accepts connections.
#[derive(Debug)]
pub struct RunningProxy {
    proxy: Arc<Proxy>,
    stop: watch::Sender<StopStage>,
    ended: mpsc::Receiver<()>,
    workers: usize,
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
    /// connections at once.
    ///
    /// # Errors
    ///
    /// A descriptor cannot be duplicated or a thread cannot be started.
    pub fn serve(self: Arc<Self>, listeners: Listeners) -> io::Result<RunningProxy> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let (stop, stopped) = watch::channel(StopStage::Running);
        let (end, ended) = mpsc::channel(workers);
        for number in 0..workers {
            let proxy = Arc::clone(&self);
            let listeners = listeners.share()?;
            let (stopped, end) = (stopped.clone(), end.clone());
            thread::Builder::new().name(format!("proxy-{number}")).spawn(move || {
                let _report = EndReport(end);
                if let Err(error) = accept::run(proxy, number == 0, listeners, stopped) {
                    error!(%error, "a proxy worker could not start");
                }
            })?;
        }
        // Only the workers hold the sockets now, so the sockets are closed when the workers stop.
        drop(listeners);
        Ok(RunningProxy { proxy: self, stop, ended, workers })
    }
}

impl RunningProxy {
    /// Returns when a worker thread has ended without a request to stop. That is a bug, and the
    /// appliance stops.
    pub async fn failed(&mut self) {
        self.ended.recv().await;
    }

    /// Stops the proxy. `/_appliance/ready` answers 503, no connection is accepted, idle connections
    /// and tunnels (code 1001) are closed, and requests in flight are finished. Returns when all
    /// workers have ended, or when `budget` is used up and the rest was closed.
    pub async fn drain(mut self, budget: Duration) {
        self.proxy.gate.stop();
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
