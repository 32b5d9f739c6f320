//! A worker: one thread with a runtime, a pool and connections of its own.
//!
//! Nothing of it is shared with other workers but the [`Proxy`], which only reads.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::sync::{Notify, watch};
use tracing::warn;

use super::Proxy;
use super::admission::MAX_LINE;
use super::connection;
use super::listen::{Acceptor, Listeners};
use super::pool::Pool;

/// Header fields of a request.
const MAX_FIELDS: usize = 128;
/// Buffers of a connection grow up to this while bodies pass.
const MAX_BUFFER: usize = 128 * 1024;
/// What tunnels of a worker read into.
const SCRATCH: usize = 64 * 1024;
/// After an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// Whether we stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Finish what is in flight.
    Draining,
    /// The budget is used up.
    Now,
}

/// What the connections of one thread share.
#[derive(Debug)]
pub(super) struct Worker {
    pub proxy: Arc<Proxy>,
    pub pool: Rc<Pool>,
    pub http: http1::Builder,
    pub scratch: Rc<RefCell<Vec<u8>>>,
    pub stop: watch::Receiver<Stop>,
    live: Cell<usize>,
    last_gone: Notify,
}

/// Runs a worker on the current thread until it has been stopped.
pub(super) fn run(
    proxy: Arc<Proxy>,
    listeners: Listeners,
    stop: watch::Receiver<Stop>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let served = runtime.block_on(async move {
        let worker = Rc::new(Worker::new(proxy, stop));
        for acceptor in listeners.into_acceptors()? {
            tokio::task::spawn_local(accept(Rc::clone(&worker), acceptor));
        }
        worker.until_stopped().await;
        Ok(())
    });
    // Ends what is left before anybody hears that nothing is.
    drop(runtime);
    served
}

impl Worker {
    fn new(proxy: Arc<Proxy>, stop: watch::Receiver<Stop>) -> Self {
        let mut http = http1::Builder::new();
        // Time limits are those of `Wire`, which knows more; sizes are judged by `admission`, and
        // these only have to let through what it accepts.
        http.header_read_timeout(None)
            .max_headers(MAX_FIELDS)
            .max_header_size(proxy.max_header_bytes + MAX_LINE + 1024)
            .max_buf_size(MAX_BUFFER.max(proxy.max_header_bytes + MAX_LINE + 2048))
            .writev(true);
        Self {
            proxy,
            pool: Rc::default(),
            http,
            scratch: Rc::new(RefCell::new(vec![0; SCRATCH])),
            stop,
            live: Cell::new(0),
            last_gone: Notify::new(),
        }
    }

    /// A task that a stop waits for.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let live = Live::new(Rc::clone(self));
        // On the heap, because a block that awaits what it has captured has room for it twice.
        let task = Box::pin(task);
        tokio::task::spawn_local(async move {
            task.await;
            drop(live);
        });
    }

    async fn until_stopped(&self) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|stop| *stop != Stop::No).await;
        while self.live.get() > 0 {
            tokio::select! {
                () = self.last_gone.notified() => {}
                _ = stop.wait_for(|stop| *stop == Stop::Now) => return,
            }
        }
    }
}

/// Counts a task as long as it lives, also when it panics.
struct Live(Rc<Worker>);

impl Live {
    fn new(worker: Rc<Worker>) -> Self {
        worker.live.set(worker.live.get() + 1);
        Self(worker)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let left = self.0.live.get() - 1;
        self.0.live.set(left);
        if left == 0 {
            self.0.last_gone.notify_one();
        }
    }
}

async fn accept(worker: Rc<Worker>, acceptor: Acceptor) {
    let mut stop = worker.stop.clone();
    let stopping = stop.wait_for(|stop| *stop != Stop::No);
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stopping => return,
            accepted = acceptor.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                worker.spawn(connection::serve(Rc::clone(&worker), stream, address));
            }
            // Of a client that left while it waited.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection, pausing");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
