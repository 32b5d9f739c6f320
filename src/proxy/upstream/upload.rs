//! A request body on its way to an app: streamed, limited, timed; trailers end here.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::connection_state::ConnectionState;

/// What went wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Longer than allowed.
    TooLarge,
    /// No byte for too long.
    Stalled,
    /// The client broke it off, or it was no proper body.
    Broken,
}

/// What the one who waits for the answer has to know of the body.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes so far, for the log.
    bytes: Rc<Cell<u64>>,
    /// When something last moved.
    moved: Cell<Instant>,
    fault: Cell<Option<Fault>>,
}

impl Progress {
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    /// Since when the app has had all it gets; `None` while the body moves on.
    pub(crate) fn moved(&self) -> Instant {
        self.moved.get()
    }
}

/// A request body, or none.
#[derive(Debug)]
pub(crate) struct Upload(Option<Inner>);

#[derive(Debug)]
struct Inner {
    body: Incoming,
    progress: Rc<Progress>,
    state: Rc<ConnectionState>,
    limit: u64,
    pause: Duration,
    /// For the next byte, while `waiting`.
    alarm: Alarm,
    waiting: bool,
}

impl Upload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// A body of at most `limit` bytes with no pause longer than `pause`.
    pub(crate) fn new(
        body: Incoming,
        state: Rc<ConnectionState>,
        bytes: Rc<Cell<u64>>,
        limit: u64,
        pause: Duration,
    ) -> (Self, Rc<Progress>) {
        let now = Instant::now();
        let progress = Rc::new(Progress { bytes, moved: Cell::new(now), fault: Cell::new(None) });
        let inner = Inner {
            body,
            progress: Rc::clone(&progress),
            state,
            limit,
            pause,
            alarm: Alarm::at(now),
            waiting: false,
        };
        (Self(Some(inner)), progress)
    }
}

impl Inner {
    fn fail(&self, fault: Fault) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.progress.fault.set(Some(fault));
        Poll::Ready(Some(Err(io::Error::other("the request body failed"))))
    }

    fn end(&self) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.state.unread.set(false);
        Poll::Ready(None)
    }

    fn take(&mut self, data: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let total = self.progress.bytes.get() + data.len() as u64;
        self.progress.bytes.set(total);
        if total > self.limit {
            return self.fail(Fault::TooLarge);
        }
        self.progress.moved.set(Instant::now());
        self.waiting = false;
        if self.body.is_end_stream() {
            self.state.unread.set(false);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // An app that takes nothing for a while is no pause of the client's.
        if !std::mem::replace(&mut self.waiting, true) {
            self.alarm.set(Instant::now() + self.pause);
        }
        match self.alarm.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => self.fail(Fault::Stalled),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(inner) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        match Pin::new(&mut inner.body).poll_frame(cx) {
            Poll::Pending => inner.wait(cx),
            Poll::Ready(None) => inner.end(),
            Poll::Ready(Some(Err(_))) => inner.fail(Fault::Broken),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => inner.take(data),
                // Trailers could carry what was removed from the head.
                Err(_trailers) => inner.end(),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |inner| inner.body.size_hint())
    }
}
