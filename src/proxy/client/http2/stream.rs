//! One stream of an HTTP/2 connection, which is one request with its response.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::super::capacity::Slot;
use super::super::worker::Worker;
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::exchange::Exchange;

/// How long a client may take nothing of a response of the appliance. Strangers get such responses, and one
/// that is not taken keeps a place.
const LONGEST_OF_OWN: Duration = Duration::from_secs(10);

/// The open streams of a connection, and what its parts know of each other.
#[derive(Debug)]
pub(super) struct Streams {
    open: Cell<usize>,
    /// When the last request began; `None` before the first one.
    pub(super) last_begun: Cell<Option<Instant>>,
    /// The last stream has ended, and the socket may not have taken all of it.
    unsettled: Cell<bool>,
    /// When the last open stream was closed.
    pub(super) idle_since: Cell<Instant>,
    /// Since when the header block of a request is incomplete.
    pub(super) head_since: Cell<Option<Instant>>,
    /// The client's socket takes no more bytes for now.
    pub(super) is_blocked: Cell<bool>,
    /// When the client's socket last took bytes.
    pub(super) sent_at: Cell<Instant>,
    /// A client has not taken the end of a response in time: the connection accepts no more requests.
    pub(super) is_overdue: Cell<bool>,
    /// The task of the connection.
    pub(super) waker: RefCell<Waker>,
    /// `None` over the limit of connections.
    slot: Option<Rc<Slot>>,
    /// The stream whose task hyper starts next.
    next: RefCell<Option<OpenStream>>,
}

/// A stream that is counted as open until this is dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    streams: Rc<Streams>,
    stream: Rc<Stream>,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) exchange: Rc<Exchange>,
    /// Since when the client does not take the piece of the response that is next.
    pub(super) untaken: Cell<Option<Instant>>,
    /// The pieces of the response that h2 has and the client does not.
    pub(super) unsent: Cell<usize>,
    /// Waits for the client to take all of them.
    pub(super) waker: RefCell<Waker>,
    /// How long the client may take nothing of an app's response.
    longest: Duration,
}

impl Stream {
    /// How long the client may take nothing of the response.
    fn longest(&self) -> Duration {
        if self.exchange.is_own.get() { self.longest.min(LONGEST_OF_OWN) } else { self.longest }
    }
}

impl Streams {
    pub(super) fn new(slot: Option<Rc<Slot>>) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            open: Cell::new(0),
            last_begun: Cell::new(None),
            unsettled: Cell::new(false),
            idle_since: Cell::new(now),
            head_since: Cell::new(None),
            is_blocked: Cell::new(false),
            sent_at: Cell::new(now),
            is_overdue: Cell::new(false),
            waker: RefCell::new(Waker::noop().clone()),
            slot,
            next: RefCell::new(None),
        })
    }

    /// The place of the connection; `None` over the limit of connections.
    pub(super) fn slot(&self) -> Option<&Rc<Slot>> {
        self.slot.as_ref()
    }

    /// Whether there has been a request.
    pub(super) fn have_begun(&self) -> bool {
        self.last_begun.get().is_some()
    }

    /// How many streams are open.
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    /// Opens a stream for a request. A client that takes nothing of the response for `longest` loses it.
    pub(super) fn begin(self: &Rc<Self>, exchange: Rc<Exchange>, longest: Duration) -> Rc<Stream> {
        self.last_begun.set(Some(Instant::now()));
        self.unsettled.set(false);
        self.open.set(self.open.get() + 1);
        if let (1, Some(slot)) = (self.open.get(), &self.slot) {
            slot.set_busy();
        }
        let stream = Rc::new(Stream {
            exchange,
            untaken: Cell::new(None),
            unsent: Cell::new(0),
            waker: RefCell::new(Waker::noop().clone()),
            longest,
        });
        let open = OpenStream { streams: Rc::clone(self), stream: Rc::clone(&stream) };
        self.next.replace(Some(open));
        stream
    }

    /// hyper has sent what it could. A connection whose last stream has ended is idle as soon as the socket
    /// takes it all.
    pub(super) fn settle(&self) {
        if self.open.get() == 0
            && !self.is_blocked.get()
            && self.unsettled.replace(false)
            && let Some(slot) = &self.slot
        {
            slot.set_idle();
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.open.set(streams.open.get() - 1);
        if streams.open.get() > 0 {
            return;
        }
        streams.idle_since.set(Instant::now());
        streams.unsettled.set(true);
        streams.waker.borrow().wake_by_ref();
    }
}

/// Starts the tasks of the streams of a connection.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    pub(super) worker: Rc<Worker>,
    pub(super) streams: Rc<Streams>,
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, task: F) {
        // hyper calls the service and starts the task of the same stream at once.
        let open = self.streams.next.take();
        self.worker.spawn(async move {
            match open {
                Some(open) => {
                    serve(task, &open.stream).await;
                    let (streams, stream) = (Rc::clone(&open.streams), Rc::clone(&open.stream));
                    drop(open);
                    watch_end(&stream, &streams).await;
                }
                None => task.await,
            }
        });
    }
}

/// Runs the task of a stream until the response is sent. The end of the task before that resets the stream:
/// when the right to the response is lost, or when the client does not take it. hyper notices neither while
/// the client leaves it no room to send.
async fn serve(task: impl Future<Output = ()>, stream: &Stream) {
    let mut task = pin!(task);
    let mut alarm = Alarm::after(stream.longest);
    poll_fn(|cx| {
        if stream.exchange.revoked.get() || task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = stream.untaken.get() else { return Poll::Pending };
        alarm.set(since + stream.longest());
        alarm.poll(cx)
    })
    .await;
}

/// Waits until the client has taken the end of a response, for which hyper keeps no task. A client that
/// leaves it untaken gets no more requests served on this connection: its other streams may end, but it
/// cannot keep the connection in use, and the end of this response in memory.
async fn watch_end(stream: &Stream, streams: &Streams) {
    let mut alarm = Alarm::after(stream.longest());
    poll_fn(|cx| {
        if stream.unsent.get() == 0 {
            return Poll::Ready(());
        }
        stream.waker.borrow_mut().clone_from(cx.waker());
        alarm.poll(cx).map(|()| {
            streams.is_overdue.set(true);
            streams.waker.borrow().wake_by_ref();
        })
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_of_the_appliance_must_be_taken_sooner_than_one_of_an_app() {
        let streams = Streams::new(None);
        for (wanted, limits) in [(60, [60, 10]), (5, [5, 5])] {
            let longest = Duration::from_secs(wanted);
            let stream = streams.begin(Rc::new(Exchange::of_stream()), longest);
            for (is_own, limit) in [false, true].into_iter().zip(limits) {
                stream.exchange.is_own.set(is_own);
                assert_eq!(stream.longest(), Duration::from_secs(limit));
            }
            drop(streams.next.take());
        }
    }
}
