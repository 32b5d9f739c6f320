//! What the connections of one worker thread share, and how many of them are open.
//!
//! Workers share only the [`Proxy`] with each other; it is read-only.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hyper::server::conn::http1;
use tokio::sync::{Notify, watch};

use crate::proxy::Proxy;
use crate::proxy::phases::admit::admission::MAX_LINE;
use crate::proxy::pipeline::context::Shared;
use crate::proxy::socket::stop::Stop;

/// Most header fields of a request.
const MAX_FIELDS: usize = 128;
/// Up to this size, bytes, a connection's buffer grows while bodies are streamed.
const MAX_BUFFER: usize = 128 * 1024;
/// Size of the read buffer that the connections of a worker share, bytes.
const SCRATCH: usize = 64 * 1024;
/// One worker thread: what its connections share, and how many there are.
#[derive(Debug)]
pub(crate) struct Worker {
    pub shared: Rc<Shared>,
    pub http: http1::Builder,
    live: Cell<usize>,
    last_gone: Notify,
}

impl Worker {
    pub(super) fn new(proxy: Arc<Proxy>, stop: watch::Receiver<Stop>) -> Self {
        let mut http = http1::Builder::new();
        // Time limits are those of `TimedStream`, which knows more; sizes are judged by `admission`, and
        // these only have to let through what it accepts.
        http.header_read_timeout(None)
            .max_headers(MAX_FIELDS)
            .max_header_size(proxy.max_header_bytes + MAX_LINE + 1024)
            .max_buf_size(MAX_BUFFER.max(proxy.max_header_bytes + MAX_LINE + 2048))
            .writev(true);
        let scratch = Rc::new(RefCell::new(vec![0; SCRATCH]));
        Self {
            shared: Rc::new(Shared { proxy, pool: Rc::default(), scratch, stop }),
            http,
            live: Cell::new(0),
            last_gone: Notify::new(),
        }
    }

    /// Spawns a task that a stop waits for.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let live = Live::new(Rc::clone(self));
        // On the heap: an async block that awaits a captured future reserves room for it twice.
        let task = Box::pin(task);
        tokio::task::spawn_local(async move {
            task.await;
            drop(live);
        });
    }

    pub(super) async fn until_stopped(&self) {
        let mut stop = self.shared.stop.clone();
        let _ = stop.wait_for(|stop| *stop != Stop::No).await;
        while self.live.get() > 0 {
            tokio::select! {
                () = self.last_gone.notified() => {}
                _ = stop.wait_for(|stop| *stop == Stop::Now) => return,
            }
        }
    }
}

/// Counts a task until it ends, also when it panics.
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
