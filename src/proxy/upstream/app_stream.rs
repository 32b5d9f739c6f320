//! The socket to an app as hyper uses it: failed writes are ignored, the head of a response is
//! limited, see [`HeadLimit`], the head of a request is kept, see [`SentHead`], and received bytes are acknowledged at once where the app may wait for
//! that, see [`QuickAck`].
//!
//! An app may respond before it has read the whole request, and then close the connection. hyper
//! would end the connection after the failed write and lose the response. Here the writes seem to
//! succeed, hyper reads the response, and the end of the stream ends the connection.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::head_limit::{Allowance, HeadLimit};
use super::sent_head::SentHead;
use crate::proxy::socket::stream::Stream;

/// Whether received bytes are acknowledged at once. The owner of the connection sets the flag while
/// it waits for the rest of a response.
///
/// Some servers (uvicorn is one) write the head and the body of a response in two steps and use
/// Nagle's algorithm. Their kernel holds the body back until the head is acknowledged, which this
/// kernel would do only 40 ms later. A response that arrives in one piece is acknowledged with the
/// next request and needs no extra system call.
pub(super) type QuickAck = Rc<Cell<bool>>;

/// What the socket shares with its connection.
pub(super) type Shared = (QuickAck, Rc<HeadLimit>, Rc<SentHead>);

/// A socket to an app.
#[derive(Debug)]
pub(super) struct AppStream {
    stream: Stream,
    /// The app no longer reads: all further bytes are discarded.
    write_failed: bool,
    /// Bytes were read after the last write or acknowledgement.
    unacknowledged: bool,
    quick_ack: QuickAck,
    head_limit: Rc<HeadLimit>,
    sent_head: Rc<SentHead>,
    /// A read buffer for bytes that have to be counted; empty otherwise.
    counted: Vec<u8>,
}

/// Most bytes of a head that are counted at once.
const COUNTED_READ: usize = 8192;

impl AppStream {
    pub(super) fn new(stream: Stream, (quick_ack, head_limit, sent_head): Shared) -> Self {
        Self {
            stream,
            write_failed: false,
            unacknowledged: false,
            quick_ack,
            head_limit,
            sent_head,
            counted: Vec::new(),
        }
    }

    /// Whether the app no longer accepted what was written.
    pub(super) fn was_reset(&self) -> bool {
        self.write_failed || self.stream.has_error()
    }

    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Reads a piece of a long head.
    fn read_counted(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
        left: usize,
    ) -> Poll<io::Result<()>> {
        self.counted.resize(COUNTED_READ, 0);
        let most = buffer.remaining().min(COUNTED_READ).min(left);
        let count = ready!(self.stream.poll_recv(cx, &mut self.counted[..most]))?;
        buffer.put_slice(&self.counted[..count]);
        self.head_limit.count(count);
        Poll::Ready(Ok(()))
    }

    /// Turns a failed write into a write of all `total` bytes.
    fn ignore_error(
        &mut self,
        written: Poll<io::Result<usize>>,
        total: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(_)) => {
                self.write_failed = true;
                Poll::Ready(Ok(total))
            }
            other => other,
        }
    }
}

impl Read for AppStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match this.head_limit.allowance() {
            Allowance::Unlimited => {
                this.counted = Vec::new();
                Pin::new(&mut this.stream).poll_read(cx, buffer)
            }
            Allowance::Bytes(left) => this.read_counted(cx, buffer, left),
            Allowance::None => Poll::Ready(Err(io::Error::other("interim responses without end"))),
        };
        if read.is_ready() {
            this.unacknowledged = true;
            this.head_limit.note_read();
        } else if this.unacknowledged && this.quick_ack.get() {
            this.unacknowledged = false;
            this.stream.acknowledge_now();
        }
        read
    }
}

impl Write for AppStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(cx) {
            Poll::Ready(Err(_)) => {
                this.write_failed = true;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_close_write(cx)
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
        let total = parts.iter().map(|part| part.len()).sum();
        if this.write_failed {
            return Poll::Ready(Ok(total));
        }
        this.unacknowledged = false;
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        let written = this.ignore_error(written, total);
        if let Poll::Ready(Ok(count)) = written {
            this.sent_head.note(parts, count);
        }
        written
    }
}
