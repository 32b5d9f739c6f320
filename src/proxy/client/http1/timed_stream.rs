//! The client's socket as hyper uses it: with time limits, and with the proxy's responses to bytes
//! that are not HTTP.
//!
//! While the proxy waits for a request head, the socket counts bytes and time: a slow head gets a
//! 408, an idle connection is closed. hyper responds by itself to bytes that it cannot parse; such a
//! response is replaced by one with a request id.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

use crate::proxy::client::capacity::Slot;
use crate::proxy::client::requester::Limits;
use crate::proxy::client::send_stall::SendStall;
use crate::proxy::phases::admit::admission::MAX_REQUEST_LINE;
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::exchange::{Exchange, Turn};
use crate::proxy::socket::stream::Stream;

/// Most bytes of a head that are read from the socket at once.
const MAX_HEAD_READ: usize = 4096;

/// A client's socket.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: Stream,
    /// Received before the protocol was known.
    early: Bytes,
    state: Rc<Exchange>,
    /// Shared with the requests: a reload may change the limits.
    limits: Rc<Cell<Limits>>,
    /// `None` over the limit of connections.
    slot: Option<Rc<Slot>>,
    head: HeadProgress,
    /// For the rest of the head, or for the next request.
    alarm: Alarm,
    /// The client takes no bytes of the response.
    stall: Option<Box<SendStall>>,
    /// The status of the response that replaces hyper's.
    refusal: Option<StatusCode>,
    /// The bytes of this response that are not sent yet.
    unsent: Bytes,
    /// The read buffer of the thread: a head is counted before hyper receives it.
    scratch: Rc<RefCell<Vec<u8>>>,
}

/// The progress of the request head that the proxy waits for.
#[derive(Debug, Default)]
struct HeadProgress {
    /// Bytes received so far.
    bytes: usize,
    /// The request line is complete.
    line_ended: bool,
}

impl TimedStream {
    pub(super) fn new(
        stream: Stream,
        early: Bytes,
        state: Rc<Exchange>,
        limits: Rc<Cell<Limits>>,
        slot: Option<Rc<Slot>>,
        scratch: Rc<RefCell<Vec<u8>>>,
    ) -> Self {
        let alarm = Alarm::after(limits.get().header);
        Self {
            stream,
            early,
            state,
            limits,
            slot,
            head: HeadProgress::default(),
            alarm,
            stall: None,
            refusal: None,
            unsent: Bytes::new(),
            scratch,
        }
    }

    pub(super) fn into_inner(self) -> Stream {
        self.stream
    }

    /// The status of the response that replaces hyper's, if there is one.
    pub(super) fn refusal(&self) -> Option<StatusCode> {
        self.refusal
    }

    /// Sends the response that replaces hyper's, after hyper has given up the connection.
    pub(super) async fn send_refusal(&mut self, response: Bytes) -> io::Result<()> {
        self.unsent = response;
        poll_fn(|cx| self.poll_unsent(cx)).await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = self.scratch.borrow_mut();
        let most = buffer.remaining().min(MAX_HEAD_READ);
        let received = if self.early.is_empty() {
            self.stream.poll_recv(cx, &mut scratch[..most])
        } else {
            Poll::Ready(Ok(take(&mut self.early, &mut scratch[..most])))
        };
        match received {
            Poll::Ready(Ok(count)) => {
                let piece = &scratch[..count];
                if self.head.bytes == 0 && count > 0 {
                    self.state.begun.set(true);
                    self.alarm.set(Instant::now() + self.limits.get().header);
                    if let Some(slot) = &self.slot {
                        slot.set_idle();
                    }
                }
                self.head.count(piece);
                buffer.put_slice(piece);
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {}
        }
        drop(scratch);
        self.poll_end_of_wait(cx)
    }

    /// Reports the end of the stream when the time limit has passed, or when the idle connection has to
    /// make room; hyper then closes the connection.
    fn poll_end_of_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.slot.as_ref().is_some_and(|slot| slot.must_close(cx)) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.alarm.poll(cx));
        if self.head.bytes > 0 {
            self.refuse(StatusCode::REQUEST_TIMEOUT);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the client has taken no bytes of the response for too long.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (stream, limits) = (&self.stream, self.limits.get().send);
        self.stall.get_or_insert_with(|| Box::new(SendStall::new(stream, limits))).poll(cx, stream)
    }

    /// An error when the client has taken no bytes of the response for too long.
    fn poll_gone<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.poll_stall(cx));
        self.stream.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn refuse(&mut self, status: StatusCode) {
        self.refusal = Some(status);
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

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let count = ready!(self.stream.poll_send(cx, &self.unsent))?;
            self.unsent.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

/// Moves bytes to the buffer, as many as fit.
fn take(early: &mut Bytes, buffer: &mut [u8]) -> usize {
    let count = early.len().min(buffer.len());
    early.copy_to_slice(&mut buffer[..count]);
    count
}

impl HeadProgress {
    fn count(&mut self, bytes: &[u8]) {
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
        if this.stream.poll_flush_tls(cx)?.is_pending() {
            return this.poll_gone(cx);
        }
        // hyper flushes only after it has written the whole response.
        if this.state.turn.get() == Turn::Flushing {
            this.state.turn.set(Turn::Client);
            this.head = HeadProgress::default();
            this.alarm.set(Instant::now() + this.limits.get().idle);
            if let Some(slot) = &this.slot {
                slot.set_idle();
            }
            // hyper may have read in this poll already, as part of the response: then it reads again
            // only when it is woken.
            if this.poll_end_of_wait(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
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
        if this.state.revoked.get() {
            // hyper has more to send than the client has read. The kernel would send what it has
            // taken so far, however long the client takes to read it.
            this.stream.reset_on_close();
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(sent) = Pin::new(&mut this.stream).poll_write_vectored(cx, parts) {
            this.stall = None;
            return Poll::Ready(sent);
        }
        this.poll_gone(cx)
    }
}
