//! One worker thread: accepts connections and serves them until the appliance stops.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::announced;
use super::connection;
use super::place::{Client, ClientAddress, Place};
use super::worker::Worker;
use crate::config::Listen;
use crate::net::is_exhaustion;
use crate::proxy::Proxy;
use crate::proxy::socket::listen::{Accepted, Acceptor, Listeners};
use crate::proxy::socket::stop_stage::StopStage;

/// Pause after an `accept` that failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a socket accepts connections beside the one that follows it: handshakes that have begun
/// need a round trip.
const LINGER: Duration = Duration::from_secs(1);

/// A change of the addresses.
#[derive(Debug)]
pub(super) struct Move {
    /// The listening sockets that are new.
    pub(super) added: Listeners,
    /// The addresses that stay beside them; all others are closed.
    pub(super) kept: Vec<Listen>,
    /// Those of them that are closed after [`LINGER`].
    pub(super) lingering: Vec<Listen>,
}

/// The listening sockets of a worker.
struct Acceptors {
    worker: Rc<Worker>,
    /// Each address, with the order to close its socket.
    open: Vec<(Listen, CancellationToken)>,
}

/// Runs a worker on the current thread. Returns after a stop of the appliance, when the connections
/// of the worker are closed.
///
/// # Errors
///
/// The thread cannot create its tokio runtime or register the listening sockets.
pub(super) fn run(
    newest: Arc<ArcSwap<Proxy>>,
    listeners: Listeners,
    moves: mpsc::UnboundedReceiver<Move>,
    stop: watch::Receiver<StopStage>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let served = runtime.block_on(async move {
        let worker = Rc::new(Worker::new(newest, stop));
        let mut acceptors = Acceptors { worker: Rc::clone(&worker), open: Vec::new() };
        acceptors.open(listeners)?;
        tokio::task::spawn_local(acceptors.follow(moves));
        worker.until_stopped().await;
        Ok(())
    });
    // Dropping the runtime ends the remaining tasks before the end of this worker is reported.
    drop(runtime);
    served
}

impl Acceptors {
    fn open(&mut self, listeners: Listeners) -> io::Result<()> {
        for (address, acceptor) in listeners.into_acceptors()? {
            let close = CancellationToken::new();
            let (worker, at) = (Rc::clone(&self.worker), Rc::new(address.clone()));
            let accepting = accept(worker, acceptor, at, close.clone());
            self.open.push((address, close));
            tokio::task::spawn_local(accepting);
        }
        Ok(())
    }

    /// Opens and closes sockets as the configuration says.
    async fn follow(mut self, mut moves: mpsc::UnboundedReceiver<Move>) {
        while let Some(Move { added, kept, lingering }) = moves.recv().await {
            self.worker.notice();
            let gone = self.open.extract_if(.., |(address, _)| !kept.contains(address));
            for (address, close) in gone {
                let lingers = lingering.contains(&address);
                tokio::task::spawn_local(async move {
                    if lingers {
                        tokio::time::sleep(LINGER).await;
                    }
                    close.cancel();
                });
            }
            if let Err(error) = self.open(added) {
                warn!(%error, "a proxy worker cannot accept connections on a new address");
            }
        }
    }
}

async fn accept(worker: Rc<Worker>, acceptor: Acceptor, at: Rc<Listen>, close: CancellationToken) {
    let mut stop = worker.stop.clone();
    let stopping = stop.wait_for(|stop| *stop != StopStage::Running);
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopping => return,
            accepted = acceptor.accept() => accepted,
            // After the connections that wait: they came before the address moved.
            () = close.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => admit(&worker, stream, &at, address).await,
            // The client left before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection, pausing");
                if is_exhaustion(&error) {
                    worker.context().proxy.capacity.descriptors().exhausted().await;
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn admit(
    worker: &Rc<Worker>,
    stream: Accepted,
    at: &Rc<Listen>,
    address: Option<std::net::SocketAddr>,
) {
    let (at_peer, address) = (address, ClientAddress::of_peer(address));
    let ip = address.ip();
    let proxy = Arc::clone(&worker.context().proxy);
    let app = || proxy.clients.as_ref()?.app_of(stream.client_end(at_peer)?);
    let is_announced = matches!(stream, Accepted::Tcp(_)) && announced::is_expected(&proxy, ip);
    // It is counted for the client when the proxy has named the client.
    let counted = ip.filter(|_| !is_announced);
    let Some(place) = Place::of(proxy.capacity.admit(counted, app).await) else { return };
    let speaks = proxy.ways.speaks(at);
    let client = Client { address, is_announced, place, at: Rc::clone(at) };
    worker.spawn(connection::serve(Rc::clone(worker), stream, speaks, client));
}
