//! The bounded queue in front of stdout, and the writer thread behind it.
//!
//! Children wait for space ([`Queue::send`]). The appliance's own lines never wait
//! ([`Queue::offer`]): they have their own small share of the queue, so that a flood from a child
//! cannot displace them, and they are counted if this share is full. The thread writes with
//! blocking calls and never changes the flags of fd 1, which other processes share: with
//! `O_NONBLOCK`, *their* writes would fail.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc};
use std::thread::Thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tracing::Level;

use super::format::{APPLIANCE, Format};
use super::recent::{Recent, Source};

/// Space for lines of children in bytes.
const CHILDREN: u32 = 2 * 1024 * 1024;
/// Space for the appliance's own lines in bytes.
const OWN: u32 = 1024 * 1024;
/// Smaller blocks are combined into one write.
const GATHER: usize = 64 * 1024;
/// Under load, the thread wakes at most this often, so that a busy proxy does not pay for a wake-up
/// with every access line. After a quiet moment, a line is written at once, and a warning or an error
/// always is: the person who caused it may already be looking for it.
const PACE: Duration = Duration::from_millis(5);

/// The queue, shared by all who log.
#[derive(Debug)]
pub(super) struct Queue {
    format: ArcSwap<Format>,
    children: Semaphore,
    own: Semaphore,
    /// Number of children that wait for space.
    waiters: AtomicUsize,
    dropped: AtomicU64,
    order: Mutex<Order>,
    /// Wakes the thread before its pace.
    writer: OnceLock<Thread>,
}

/// One lock for both, so that `appliance logs` has the same order as stdout.
#[derive(Debug)]
struct Order {
    recent: Recent,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Write { block: Bytes, child: bool, urgency: Urgency },
    Flush(oneshot::Sender<()>),
}

/// When a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// At once.
    AtOnce,
    /// Together with the lines of the next moments.
    Paced,
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(
        format: Format,
        sink: impl Write + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        Self::start_with_pace(format, sink, PACE)
    }

    fn start_with_pace(
        format: Format,
        sink: impl Write + Send + 'static,
        pace: Duration,
    ) -> std::io::Result<Arc<Self>> {
        let (jobs, receiver) = mpsc::channel();
        let queue = Arc::new(Self {
            format: ArcSwap::from_pointee(format),
            children: Semaphore::new(CHILDREN as usize),
            own: Semaphore::new(OWN as usize),
            waiters: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            order: Mutex::new(Order { recent: Recent::default(), jobs }),
            writer: OnceLock::new(),
        });
        let writer = Writer { sink, pace, gathered: Vec::new(), queue: Arc::downgrade(&queue) };
        let thread = std::thread::Builder::new().name("log".into());
        let thread = thread.spawn(move || writer.run(&receiver))?;
        let _ = queue.writer.set(thread.thread().clone());
        Ok(queue)
    }

    /// The format of the lines.
    pub(super) fn format(&self) -> Format {
        **self.format.load()
    }

    /// Changes the format of the lines that follow.
    pub(super) fn set_format(&self, format: Format) {
        self.format.store(Arc::new(format));
    }

    /// Queues whole lines of a child as soon as there is space.
    pub(super) async fn send(&self, app: &str, block: Bytes) {
        let _waiter = Waiter::count_in(&self.waiters);
        if let Ok(room) = self.children.acquire_many(share(&block, CHILDREN)).await {
            room.forget();
            self.push(Source::App(app), block, true, Urgency::Paced);
        }
    }

    /// Queues a line that the appliance writes, or counts it as dropped.
    pub(super) fn offer(&self, source: Source<'_>, line: Vec<u8>, urgency: Urgency) {
        let block = Bytes::from(line);
        if let Ok(room) = self.own.try_acquire_many(share(&block, OWN)) {
            room.forget();
            self.push(source, block, false, urgency);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues a line of the appliance that is written and not remembered.
    pub(super) fn print(&self, line: Vec<u8>) {
        let block = Bytes::from(line);
        let Ok(room) = self.own.try_acquire_many(share(&block, OWN)) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        room.forget();
        let _ =
            self.order().jobs.send(Job::Write { block, child: false, urgency: Urgency::AtOnce });
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Resolves when everything that was queued before is written.
    pub(super) fn flushed(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        let _ = self.order().jobs.send(Job::Flush(done));
        flushed
    }

    /// The same as [`Self::flushed`], but also waits for children that wait for space.
    pub(super) async fn drained(&self) {
        let mut more = true;
        while more {
            more = self.waiters.load(Ordering::Relaxed) > 0;
            if self.flushed().await.is_err() {
                return;
            }
        }
    }

    /// Reads the remembered lines.
    pub(super) fn recent<T>(&self, look: impl FnOnce(&mut Recent) -> T) -> T {
        look(&mut self.order().recent)
    }

    fn push(&self, source: Source<'_>, block: Bytes, child: bool, urgency: Urgency) {
        let mut order = self.order();
        order.recent.push(source, &block);
        let _ = order.jobs.send(Job::Write { block, child, urgency });
        drop(order);
        if urgency == Urgency::AtOnce
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the space of a block.
    fn wrote(&self, block: &Bytes, child: bool) {
        if child {
            self.children.add_permits(share(block, CHILDREN) as usize);
        } else {
            self.own.add_permits(share(block, OWN) as usize);
        }
    }

    fn waiting(&self) -> usize {
        (CHILDREN + OWN) as usize - self.children.available_permits() - self.own.available_permits()
    }

    /// A line with the number of dropped lines.
    fn note_about_dropped_lines(&self) -> Option<Vec<u8>> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        (dropped > 0).then(|| {
            let msg = "lines of the appliance are missing here: the log was read too slowly";
            let mut entry = self.format().entry(APPLIANCE, Level::WARN, msg);
            entry.bare("lines", dropped);
            entry.finish()
        })
    }
}

/// A child that waits for space, until this is dropped.
struct Waiter<'q>(&'q AtomicUsize);

impl<'q> Waiter<'q> {
    fn count_in(count: &'q AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Space that a block takes. A block larger than the whole space takes all of it; otherwise it
/// would wait for ever.
fn share(block: &Bytes, room: u32) -> u32 {
    u32::try_from(block.len()).map_or(room, |size| size.min(room))
}

/// The writer thread.
struct Writer<W> {
    sink: W,
    pace: Duration,
    gathered: Vec<u8>,
    /// A weak reference, so that the thread ends when nothing can log any more.
    queue: Weak<Queue>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut last = Instant::now();
        while let Ok(job) = jobs.recv() {
            let Some(queue) = self.queue.upgrade() else { return };
            if let Some(pause) = self.pace.checked_sub(last.elapsed())
                && queue.waiting() < GATHER
                && matches!(job, Job::Write { urgency: Urgency::Paced, .. })
            {
                std::thread::park_timeout(pause);
            }
            self.take(job, &queue);
            while let Ok(job) = jobs.try_recv() {
                self.take(job, &queue);
            }
            self.write_all(&queue);
            last = Instant::now();
        }
    }

    fn take(&mut self, job: Job, queue: &Queue) {
        match job {
            Job::Write { block, child, .. } => {
                if self.gathered.len() + block.len() > GATHER {
                    self.write_gathered();
                }
                if block.len() > GATHER / 4 {
                    self.write_gathered();
                    self.write(&block);
                } else {
                    self.gathered.extend_from_slice(&block);
                }
                queue.wrote(&block, child);
            }
            Job::Flush(done) => {
                self.write_all(queue);
                let _ = done.send(());
            }
        }
    }

    fn write_all(&mut self, queue: &Queue) {
        self.write_gathered();
        if let Some(line) = queue.note_about_dropped_lines() {
            self.write(&line);
        }
    }

    fn write_gathered(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        self.write(&gathered);
        self.gathered = gathered;
        self.gathered.clear();
    }

    /// If the sink fails (closed pipe, full disk), the text is lost. There is no other place to
    /// report the error, and children must not be blocked by it.
    fn write(&mut self, text: &[u8]) {
        let _ = self.sink.write_all(text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;
    use crate::config::{Color, Log, LogFormat};

    /// A sink that blocks until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inside>);

    #[derive(Default)]
    struct Inside {
        state: Mutex<State>,
        opened: Condvar,
    }

    #[derive(Default)]
    struct State {
        open: bool,
        text: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.0.state.lock().unwrap().open = true;
            self.0.opened.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.state.lock().unwrap().text).into_owned()
        }
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let state = self.0.state.lock().unwrap();
            let mut state = self.0.opened.wait_while(state, |state| !state.open).unwrap();
            state.text.extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn text_format() -> Format {
        let log = Log {
            format: LogFormat::Text,
            level: "info".into(),
            access: true,
            color: Color::Never,
        };
        Format::new(&log, false)
    }

    #[tokio::test]
    async fn children_wait_and_dropped_lines_are_counted() {
        let gate = Gate::default();
        let queue = Queue::start(text_format(), gate.clone()).unwrap();
        let block = Bytes::from(vec![b'\n'; 1024 * 1024]);
        for _ in 0..2 {
            queue.send("a", block.clone()).await;
        }
        let full = tokio::time::timeout(Duration::from_millis(50), queue.send("a", block.clone()));
        assert!(full.await.is_err(), "the queue accepted more than its bound");
        let own = vec![b'\n'; 300 * 1024];
        for _ in 0..5 {
            queue.offer(Source::App(APPLIANCE), own.clone(), Urgency::Paced);
        }
        let blocked = tokio::time::timeout(Duration::from_millis(50), queue.flushed()).await;
        assert!(blocked.is_err(), "flushed while the sink was blocked");
        gate.open();
        queue.flushed().await.unwrap();
        let text = gate.text();
        assert!(text.ends_with("read too slowly lines=2\n"), "{}", &text[text.len() - 200..]);
        queue.send("a", Bytes::from_static(b"room again\n")).await;
        queue.flushed().await.unwrap();
        assert!(gate.text().ends_with("lines=2\nroom again\n"));
    }

    #[tokio::test]
    async fn a_block_larger_than_the_queue_still_passes() {
        let gate = Gate::default();
        gate.open();
        let queue = Queue::start(text_format(), gate.clone()).unwrap();
        queue.send("a", Bytes::from(vec![b'\n'; CHILDREN as usize + 10])).await;
        queue.send("a", Bytes::from_static(b"next\n")).await;
        queue.flushed().await.unwrap();
        assert_eq!(gate.text().len(), CHILDREN as usize + 15);
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn an_error_does_not_wait_for_the_pace() {
        let gate = Gate::default();
        gate.open();
        let long = Duration::from_hours(1);
        let queue = Queue::start_with_pace(text_format(), gate.clone(), long).unwrap();
        queue.offer(Source::App(APPLIANCE), b"paced\n".to_vec(), Urgency::Paced);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(gate.text(), "");
        queue.offer(Source::App(APPLIANCE), b"error\n".to_vec(), Urgency::AtOnce);
        let written = async {
            while gate.text() != "paced\nerror\n" {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    }

    #[tokio::test]
    async fn draining_includes_children_that_wait_for_space() {
        let gate = Gate::default();
        let queue = Queue::start(text_format(), gate.clone()).unwrap();
        queue.send("a", Bytes::from(vec![b'\n'; CHILDREN as usize])).await;
        let late = tokio::spawn({
            let queue = queue.clone();
            async move { queue.send("a", Bytes::from_static(b"late\n")).await }
        });
        let given_up = queue.send("a", Bytes::from_static(b"never\n"));
        assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
        gate.open();
        queue.drained().await;
        assert!(gate.text().ends_with("\nlate\n"));
        late.await.unwrap();
    }
}
