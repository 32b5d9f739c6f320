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
use tokio::time::{Instant, Sleep};

use crate::proxy::socket::connection_state::ConnectionState;

/// Why a request body was not sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadError {
    /// The body is longer than allowed.
    TooLarge,
    /// The client sent nothing for too long.
    Stalled,
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
}

impl Progress {
    pub(super) fn error(&self) -> Option<UploadError> {
        self.error.get()
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
    state: Rc<ConnectionState>,
    limit: u64,
    longest_pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// A body of at most `limit` bytes with no pause longer than `longest_pause`.
    pub(crate) fn new(
        body: Incoming,
        state: Rc<ConnectionState>,
        bytes: Rc<Cell<u64>>,
        limit: u64,
        longest_pause: Duration,
    ) -> (Self, Rc<Progress>) {
        let progress =
            Rc::new(Progress { bytes, moved: Cell::new(Instant::now()), error: Cell::new(None) });
        let streamed = StreamedBody {
            body,
            progress: Rc::clone(&progress),
            state,
            limit,
            longest_pause,
            timer: None,
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
        self.state.unread.set(false);
        Poll::Ready(None)
    }

    fn take(&mut self, data: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let total = self.progress.bytes.get() + data.len() as u64;
        self.progress.bytes.set(total);
        if total > self.limit {
            return self.fail(UploadError::TooLarge);
        }
        self.progress.moved.set(Instant::now());
        self.timer = None;
        if self.body.is_end_stream() {
            self.state.unread.set(false);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let longest_pause = self.longest_pause;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest_pause)));
        match timer.as_mut().poll(cx) {
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
