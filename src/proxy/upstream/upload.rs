//! A request body on its way to an app: streamed, with a limit of its length and of its pauses.
//! Trailers are not forwarded.

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

use crate::auth::TunnelGuard;
use crate::proxy::phases::access::right::Right;
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::exchange::Exchange;

/// How long an upload may last before its session is kept refreshed.
const SHORT: Duration = Duration::from_secs(1);

/// Why a request body was not sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadError {
    /// The body is longer than allowed.
    TooLarge,
    /// The client sent nothing for too long.
    Stalled,
    /// The session has ended, or the person lost access.
    Revoked,
    /// The client closed the connection, or the framing of the body is not valid.
    Broken,
}

/// The progress of a request body, for the task that waits for the response.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes so far, for the access line.
    bytes: Rc<Cell<u64>>,
    /// When the last piece of the body was sent.
    moved: Cell<Instant>,
    error: Cell<Option<UploadError>>,
    /// The app could take the next piece of the body, and the client has not sent the piece.
    waiting: Cell<bool>,
}

impl Progress {
    pub(super) fn error(&self) -> Option<UploadError> {
        self.error.get()
    }

    /// Whether the client has to send the next piece of the body.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waiting.get()
    }

    /// When the last piece of the body was sent to the app.
    pub(super) fn moved(&self) -> Instant {
        self.moved.get()
    }
}

/// The body of a request to an app; it may be empty.
#[derive(Debug)]
pub(crate) struct Upload(Option<StreamedBody>);

#[derive(Debug)]
struct StreamedBody {
    body: Incoming,
    progress: Rc<Progress>,
    state: Rc<Exchange>,
    limit: u64,
    longest_pause: Duration,
    /// For the next piece of the body, while the client has to send it.
    alarm: Alarm,
    right: Right,
    started: Instant,
    /// Keeps the session of a long upload refreshed.
    guard: Option<TunnelGuard>,
}

impl Upload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// A body of at most `limit` bytes with no pause longer than `longest_pause`. The loss of
    /// the right ends the body.
    pub(crate) fn new(
        body: Incoming,
        state: Rc<Exchange>,
        bytes: Rc<Cell<u64>>,
        limit: u64,
        longest_pause: Duration,
        right: Right,
    ) -> (Self, Rc<Progress>) {
        let started = Instant::now();
        let progress = Rc::new(Progress {
            bytes,
            moved: Cell::new(started),
            error: Cell::default(),
            waiting: Cell::new(false),
        });
        let streamed = StreamedBody {
            body,
            progress: Rc::clone(&progress),
            state,
            limit,
            longest_pause,
            alarm: Alarm::at(started),
            right,
            started,
            guard: None,
        };
        (Self(Some(streamed)), progress)
    }
}

impl StreamedBody {
    fn fail(&self, error: UploadError) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.progress.error.set(Some(error));
        Poll::Ready(Some(Err(io::Error::other("the request body failed"))))
    }

    fn end(&self) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.progress.waiting.set(false);
        self.state.unread.set(false);
        Poll::Ready(None)
    }

    fn take(&mut self, data: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let total = self.progress.bytes.get() + data.len() as u64;
        self.progress.bytes.set(total);
        if total > self.limit {
            return self.fail(UploadError::TooLarge);
        }
        let now = Instant::now();
        let lasts = now - self.started >= SHORT;
        if self.right.loss_while(lasts).is_some() {
            return self.fail(UploadError::Revoked);
        }
        if self.guard.is_none() && lasts {
            self.guard = self.right.keep_refreshed();
        }
        self.progress.moved.set(now);
        self.progress.waiting.set(false);
        if self.body.is_end_stream() {
            self.state.unread.set(false);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The time in which the app accepts no bytes is not a pause of the client.
        if !self.progress.waiting.replace(true) {
            self.alarm.set(Instant::now() + self.longest_pause);
        }
        match self.alarm.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => self.fail(UploadError::Stalled),
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
        let Some(streamed) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        match Pin::new(&mut streamed.body).poll_frame(cx) {
            Poll::Pending => streamed.wait(cx),
            // hyper takes a reset of an HTTP/2 stream with NO_ERROR for the end of the body.
            Poll::Ready(None)
                if streamed.state.is_multiplexed && !streamed.body.is_end_stream() =>
            {
                streamed.fail(UploadError::Broken)
            }
            Poll::Ready(None) => streamed.end(),
            Poll::Ready(Some(Err(_))) => streamed.fail(UploadError::Broken),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => streamed.take(data),
                // Trailers could carry headers that were removed from the head.
                Err(_trailers) => streamed.end(),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|streamed| streamed.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |streamed| streamed.body.size_hint())
    }
}
