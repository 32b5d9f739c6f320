//! The client's side of a connection as hyper sees it: a socket with time limits that speaks up.
//!
//! While a request head is awaited it counts bytes and time, so that a slow head gets a 408 and a
//! silent connection ends without a word. The answers that hyper gives by itself to bytes it
//! cannot read are replaced by ours, which carry a request id.

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

use super::admission::MAX_LINE;
use super::answer::raw_refusal;
use super::seat::{Seat, Turn};
use super::stream::Stream;

/// Bytes of a head taken from the socket at once.
const PIECE: usize = 4096;

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
pub(super) struct Wire {
    stream: Stream,
    seat: Rc<Seat>,
    limits: Limits,
    head: Head,
    /// Wakes up at or before `head.deadline`; moved only when it has fired, as that is cheaper
    /// than moving it for each request.
    alarm: Pin<Box<Sleep>>,
    /// Our answer in place of hyper's.
    refusal: Option<(StatusCode, Bytes)>,
    /// Shared by the thread: a head is looked at before hyper gets it.
    scratch: Rc<RefCell<Vec<u8>>>,
}

/// The request head being awaited.
#[derive(Debug)]
struct Head {
    bytes: usize,
    line_ended: bool,
    deadline: Instant,
}

impl Wire {
    pub(super) fn new(
        stream: Stream,
        seat: Rc<Seat>,
        limits: Limits,
        scratch: Rc<RefCell<Vec<u8>>>,
    ) -> Self {
        let deadline = Instant::now() + limits.header;
        Self {
            stream,
            seat,
            limits,
            head: Head { bytes: 0, line_ended: false, deadline },
            alarm: Box::pin(tokio::time::sleep_until(deadline)),
            refusal: None,
            scratch,
        }
    }

    /// The socket, and the status of the answer that was given in hyper's place.
    pub(super) fn into_parts(self) -> (Stream, Option<StatusCode>) {
        (self.stream, self.refusal.map(|(status, _)| status))
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut scratch = self.scratch.borrow_mut();
        let most = buffer.remaining().min(PIECE);
        match self.stream.poll_take(cx, &mut scratch[..most]) {
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
        self.poll_alarm(cx)
    }

    /// Reports the end of the stream when time is up: hyper then closes.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.head.deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(self.head.deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() < self.head.deadline {
                self.alarm.as_mut().reset(self.head.deadline);
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
        self.refusal = Some((status, raw_refusal(status)));
    }

    /// hyper gave up on what it read, with or without an answer.
    pub(super) fn refuse_unread(&mut self) {
        if self.refusal.is_none() && self.seat.turn.get() == Turn::Client {
            self.refuse(StatusCode::BAD_REQUEST);
        }
    }

    /// Takes an answer that hyper gives by itself.
    fn replace(&mut self, bytes: &[u8]) {
        if self.refusal.is_some() {
            return;
        }
        let status = bytes
            .get(9..12)
            .and_then(|digits| StatusCode::from_bytes(digits).ok())
            .unwrap_or(StatusCode::BAD_REQUEST);
        let endless_line = !self.head.line_ended && self.head.bytes > MAX_LINE;
        self.refuse(if endless_line { StatusCode::URI_TOO_LONG } else { status });
    }

    /// Sends what is left of our own answer.
    pub(super) fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((_, bytes)) = &mut self.refusal {
            if bytes.is_empty() {
                break;
            }
            let count = ready!(self.stream.poll_give(cx, bytes))?;
            bytes.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl Head {
    fn count(&mut self, bytes: &[u8], limit: Duration) {
        if self.bytes == 0 && !bytes.is_empty() {
            self.deadline = Instant::now() + limit;
        }
        if !self.line_ended && self.bytes <= MAX_LINE {
            self.line_ended = memchr::memchr(b'\n', bytes).is_some();
        }
        self.bytes += bytes.len();
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.seat.turn.get() {
            Turn::Client => this.poll_head(cx, buffer),
            Turn::Us | Turn::Flushing => Pin::new(&mut this.stream).poll_read(cx, buffer),
        }
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // hyper flushes only when it has written all it had.
        if this.seat.turn.get() == Turn::Flushing {
            this.seat.turn.set(Turn::Client);
            let deadline = Instant::now() + this.limits.idle;
            this.head = Head { bytes: 0, line_ended: false, deadline };
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
        if this.seat.turn.get() == Turn::Client {
            this.replace(parts.first().map_or(&[], |part| part));
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, parts)
    }
}
