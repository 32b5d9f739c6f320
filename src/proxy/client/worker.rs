//! One worker thread: the resources that its connections share, and the count of its open tasks.
//!
//! Workers share only the read-only [`Proxy`] with each other. After a reload it is another one: the
//! next request of each connection uses it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use hyper::server::conn::http1;
use tokio::sync::{Notify, watch};

use crate::proxy::Proxy;
use crate::proxy::phases::admit::admission::MAX_REQUEST_LINE;
use crate::proxy::phases::admit::oversized::MAX_FIELDS;
use crate::proxy::pipeline::context::WorkerContext;
use crate::proxy::socket::passage::{Passage, Passages};
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::socket::ways::Way;
use crate::proxy::upstream::pool::Pool;

/// Limit of a connection's buffer, bytes. The buffer grows while bodies are streamed.
const MAX_BUFFER: usize = 128 * 1024;
/// Size of the read buffer that the connections of a worker share, bytes.
const SCRATCH: usize = 64 * 1024;

/// One worker thread.
#[derive(Debug)]
pub(super) struct Worker {
    current: RefCell<Current>,
    passages: Passages,
    /// Changes when the appliance stops.
    pub stop: watch::Receiver<StopStage>,
    open_tasks: Cell<usize>,
    last_task_ended: Notify,
}

/// What the worker makes of the newest proxy.
#[derive(Debug)]
struct Current {
    /// Compares two pointers to find out whether there is a newer proxy.
    newest: Cache<Arc<ArcSwap<Proxy>>, Arc<Proxy>>,
    context: Rc<WorkerContext>,
}

impl Worker {
    pub(super) fn new(newest: Arc<ArcSwap<Proxy>>, stop: watch::Receiver<StopStage>) -> Self {
        let mut newest = Cache::new(newest);
        let scratch = Rc::new(RefCell::new(vec![0; SCRATCH]));
        let proxy = Arc::clone(newest.load());
        let pool = Rc::new(Pool::new(Arc::clone(proxy.capacity.descriptors())));
        let context = WorkerContext { proxy, pool, scratch, stop: stop.clone() };
        Self {
            current: RefCell::new(Current { newest, context: Rc::new(context) }),
            passages: Passages::default(),
            stop,
            open_tasks: Cell::new(0),
            last_task_ended: Notify::new(),
        }
    }

    /// The resources that the connections of the worker share, with the newest proxy.
    pub(super) fn context(&self) -> Rc<WorkerContext> {
        let mut current = self.current.borrow_mut();
        let Current { newest, context } = &mut *current;
        let newest = newest.load();
        if !Arc::ptr_eq(newest, &context.proxy) {
            let proxy = Arc::clone(newest);
            self.passages.follow(&proxy.ways);
            *context = Rc::new(WorkerContext { proxy, ..WorkerContext::clone(context) });
        }
        Rc::clone(context)
    }

    /// Takes over the newest proxy: connections that wait for requests do not ask for it.
    pub(super) fn notice(&self) {
        let _ = self.context();
    }

    /// The passage of a connection that has come in this way.
    pub(super) fn enter(&self, way: Way) -> Rc<Passage> {
        self.passages.enter(way, &self.context().proxy.ways)
    }

    /// Returns when a connection has to end: the appliance stops, or the way by which it has come is shut.
    pub(super) async fn must_leave(&self, passage: &Passage) {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop != StopStage::Running) => {}
            () = passage.shut() => {}
        }
    }

    /// Whether the appliance stops.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow() != StopStage::Running
    }

    /// hyper's settings for HTTP/1.
    pub(super) fn http1(proxy: &Proxy) -> http1::Builder {
        let mut http = http1::Builder::new();
        // `TimedStream` enforces the time limits, because it also covers idle connections. The phase
        // `admit` enforces the sizes; the limits here only have to let every valid head through.
        http.header_read_timeout(None)
            .max_headers(MAX_FIELDS)
            .max_header_size(proxy.max_header_bytes + MAX_REQUEST_LINE + 1024)
            .max_buf_size(MAX_BUFFER.max(proxy.max_header_bytes + MAX_REQUEST_LINE + 2048))
            .writev(true);
        http
    }

    /// Spawns a task. A stop of the appliance waits for its end.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let open = OpenTask::new(Rc::clone(self));
        // Boxed: an async block that awaits a captured future reserves memory for the future twice.
        let task = Box::pin(task);
        tokio::task::spawn_local(async move {
            task.await;
            drop(open);
        });
    }

    /// Returns when the appliance stops and all tasks have ended, or when the time for the stop is
    /// used up.
    pub(super) async fn until_stopped(&self) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|stop| *stop != StopStage::Running).await;
        while self.open_tasks.get() > 0 {
            tokio::select! {
                () = self.last_task_ended.notified() => {}
                _ = stop.wait_for(|stop| *stop == StopStage::Closing) => return,
            }
        }
    }
}

/// Counts a task as open until it ends, also when the task panics.
struct OpenTask(Rc<Worker>);

impl OpenTask {
    fn new(worker: Rc<Worker>) -> Self {
        worker.open_tasks.set(worker.open_tasks.get() + 1);
        Self(worker)
    }
}

impl Drop for OpenTask {
    fn drop(&mut self) {
        let left = self.0.open_tasks.get() - 1;
        self.0.open_tasks.set(left);
        if left == 0 {
            self.0.last_task_ended.notify_one();
        }
    }
}
