//! One worker thread: accepts connections and serves them until the appliance stops.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::capacity::Admission;
use super::connection::{self, Place};
use super::worker::Worker;
use crate::proxy::Proxy;
use crate::proxy::phases::route::hold;
use crate::proxy::socket::listen::{Acceptor, Listeners};
use crate::proxy::socket::stop_stage::StopStage;

/// Pause after an `accept` that failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs a worker on the current thread. Returns after a stop of the appliance, when the connections
/// of the worker are closed. `first`: one worker observes the apps for all of them.
///
/// # Errors
///
/// The thread cannot create its tokio runtime or register the listening sockets.
pub(super) fn run(
    proxy: Arc<Proxy>,
    first: bool,
    listeners: Listeners,
    stop: watch::Receiver<StopStage>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let served = runtime.block_on(async move {
        for app in proxy.routes.all().iter().filter(|_| first).map(Arc::clone) {
            tokio::task::spawn_local(async move { hold::note_first_readiness(&app).await });
        }
        let worker = Rc::new(Worker::new(proxy, stop));
        for acceptor in listeners.into_acceptors()? {
            tokio::task::spawn_local(accept(Rc::clone(&worker), acceptor));
        }
        worker.until_stopped().await;
        Ok(())
    });
    // Dropping the runtime ends the remaining tasks before the end of this worker is reported.
    drop(runtime);
    served
}

async fn accept(worker: Rc<Worker>, acceptor: Acceptor) {
    let mut stop = worker.context.stop.clone();
    let stopping = stop.wait_for(|stop| *stop != StopStage::Running);
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopping => return,
            accepted = acceptor.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let ip = address.map(|address| address.ip().to_canonical());
                let place = match worker.context.proxy.capacity.admit(ip).await {
                    Admission::Admitted(slot) => Place::Slot(Rc::new(slot)),
                    Admission::Refused(slot) => Place::Refusal { _counted: slot },
                    Admission::Dropped => continue,
                };
                worker.spawn(connection::serve(Rc::clone(&worker), stream, address, place));
            }
            // The client left before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection, pausing");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
