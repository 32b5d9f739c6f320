//! The client's socket as hyper uses it: with time limits, and with the proxy's responses to bytes
//! that are not HTTP.
//!
//! While the proxy waits for a request head, the socket counts bytes and time: a slow head gets a
//! 408, an idle connection is closed. hyper responds by itself to bytes that it cannot parse; such a
//! response is replaced by one with a request id.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

use crate::proxy::answer::raw_response::raw_response;
use crate::proxy::phases::admit::admission::MAX_REQUEST_LINE;
use crate::proxy::socket::connection_state::{ConnectionState, Turn};
use crate::proxy::socket::stream::Stream;

/// Most bytes of a head that are read from the socket at once.
const MAX_HEAD_READ: usize = 4096;

/// The time limits of a client connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From a head's first byte to its last.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// A client's socket.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: Stream,
    state: Rc<ConnectionState>,
    limits: Limits,
    head: HeadProgress,
    /// Fires at or before `head.deadline`. The timer is moved only after it has fired: moving it for
    /// each request would cost more.
    timer: Pin<Box<Sleep>>,
    /// The response that replaces hyper's: its status and the bytes that are not sent yet.
    refusal: Option<(StatusCode, Bytes)>,
    /// The read buffer of the thread: a head is counted before hyper receives it.
    scratch: Rc<RefCell<Vec<u8>>>,
}

/// The progress of the request head that the proxy waits for.
#[derive(Debug)]
struct HeadProgress {
    /// Bytes received so far.
    bytes: usize,
    /// The request line is complete.
    line_ended: bool,
    deadline: Instant,
}

impl TimedStream {
    pub(super) fn new(
        stream: Stream,
        state: Rc<ConnectionState>,
        limits: Limits,
        scratch: Rc<RefCell<Vec<u8>>>,
    ) -> Self {
        let deadline = Instant::now() + limits.header;
        Self {
            stream,
            state,
            limits,
            head: HeadProgress { bytes: 0, line_ended: false, deadline },
            timer: Box::pin(tokio::time::sleep_until(deadline)),
            refusal: None,
            scratch,
        }
    }

    /// The socket, and the status of the response that replaced hyper's, if there was one.
    pub(super) fn into_parts(self) -> (Stream, Option<StatusCode>) {
        (self.stream, self.refusal.map(|(status, _)| status))
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = self.scratch.borrow_mut();
        let most = buffer.remaining().min(MAX_HEAD_READ);
        match self.stream.poll_recv(cx, &mut scratch[..most]) {
            Poll::Ready(Ok(count)) => {
                let piece = &scratch[..count];
                self.head.count(piece, self.limits.header);
                buffer.put_slice(piece);
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {}
        }
        drop(scratch);
        self.poll_timer(cx)
    }

    /// Reports the end of the stream when the time limit has passed; hyper then closes the
    /// connection.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.head.deadline < self.timer.deadline() {
            self.timer.as_mut().reset(self.head.deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() < self.head.deadline {
                self.timer.as_mut().reset(self.head.deadline);
                continue;
            }
            if self.head.bytes > 0 {
                self.refuse(StatusCode::REQUEST_TIMEOUT);
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn refuse(&mut self, status: StatusCode) {
        self.refusal = Some((status, raw_response(status)));
    }

    /// Prepares a 400 if hyper could not parse the received bytes and wrote no response.
    pub(super) fn refuse_unparsed(&mut self) {
        if self.refusal.is_none() && self.state.turn.get() == Turn::Client {
            self.refuse(StatusCode::BAD_REQUEST);
        }
    }

    /// Replaces a response that hyper wrote by itself. `bytes` is the beginning of that response.
    fn replace(&mut self, bytes: &[u8]) {
        if self.refusal.is_some() {
            return;
        }
        let status = bytes
            .get(9..12)
            .and_then(|digits| StatusCode::from_bytes(digits).ok())
            .unwrap_or(StatusCode::BAD_REQUEST);
        let long_line = !self.head.line_ended && self.head.bytes > MAX_REQUEST_LINE;
        self.refuse(if long_line { StatusCode::URI_TOO_LONG } else { status });
    }

    /// Sends the rest of the response that replaced hyper's.
    pub(super) fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((_, bytes)) = &mut self.refusal {
            if bytes.is_empty() {
                break;
            }
            let count = ready!(self.stream.poll_send(cx, bytes))?;
            bytes.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl HeadProgress {
    fn count(&mut self, bytes: &[u8], limit: Duration) {
        if self.bytes == 0 && !bytes.is_empty() {
            self.deadline = Instant::now() + limit;
        }
        if !self.line_ended && self.bytes <= MAX_REQUEST_LINE {
            self.line_ended = memchr::memchr(b'\n', bytes).is_some();
        }
        self.bytes += bytes.len();
    }
}

impl Read for TimedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.state.turn.get() {
            Turn::Client => this.poll_head(cx, buffer),
            Turn::Proxy | Turn::Flushing => Pin::new(&mut this.stream).poll_read(cx, buffer),
        }
    }
}

impl Write for TimedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // hyper flushes only after it has written the whole response.
        if this.state.turn.get() == Turn::Flushing {
            this.state.turn.set(Turn::Client);
            let deadline = Instant::now() + this.limits.idle;
            this.head = HeadProgress { bytes: 0, line_ended: false, deadline };
        }
        this.poll_refusal(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_refusal(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.state.turn.get() == Turn::Client {
            this.replace(parts.first().map_or(&[], |part| part));
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, parts)
    }
}
