//! The client's socket as hyper uses it for HTTP/2: it counts frames, gives up a client that takes nothing,
//! and closes without losing what was sent last.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Instant;

use super::frames::FrameReader;
use super::stream::Streams;
use super::toll::Toll;
use crate::proxy::client::preface::PREFACE;
use crate::proxy::client::requester::Limits;
use crate::proxy::client::send_stall::SendStall;
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::stream::Stream;

/// Most bytes that are read from the socket at once.
const MAX_READ: usize = 16 * 1024;
/// How long a client that is still sending may take to read what was sent last.
const LINGER: Duration = Duration::from_secs(2);

/// A client's socket.
#[derive(Debug)]
pub(super) struct MeteredSocket {
    stream: Stream,
    /// Received before the protocol was known.
    early: Bytes,
    streams: Rc<Streams>,
    /// Shared with the requests: a reload may change the limits.
    limits: Rc<Cell<Limits>>,
    received: FrameReader,
    sent: FrameReader,
    toll: Toll,
    /// The client takes no bytes.
    stall: Option<Box<SendStall>>,
    /// The connection is being closed: for the client's end of it.
    closing: Option<Alarm>,
    /// The read buffer of the thread.
    scratch: Rc<RefCell<Vec<u8>>>,
}

impl MeteredSocket {
    pub(super) fn new(
        stream: Stream,
        early: Bytes,
        streams: Rc<Streams>,
        limits: Rc<Cell<Limits>>,
        scratch: Rc<RefCell<Vec<u8>>>,
    ) -> Self {
        Self {
            stream,
            early,
            streams,
            limits,
            received: FrameReader::new(PREFACE.len()),
            sent: FrameReader::new(0),
            toll: Toll::new(Instant::now()),
            stall: None,
            closing: None,
            scratch,
        }
    }

    /// Notes what the client has sent.
    ///
    /// # Errors
    ///
    /// The client floods.
    fn note_received(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (now, toll) = (Instant::now(), &mut self.toll);
        let mut floods = false;
        self.received.feed(bytes, |frame| floods |= !toll.charge(frame, now));
        if floods {
            return Err(io::Error::other("too many frames that ask for nothing"));
        }
        let since = &self.streams.head_since;
        since.set(self.received.is_in_header_block().then(|| since.get().unwrap_or(now)));
        Ok(())
    }

    /// Notes what the client's socket has taken: the first `count` bytes of `parts`.
    fn note_sent(&mut self, parts: &[IoSlice<'_>], mut count: usize) {
        self.stall = None;
        self.streams.is_blocked.set(false);
        self.streams.sent_at.set(Instant::now());
        for part in parts {
            let taken = count.min(part.len());
            count -= taken;
            self.sent.feed(&part[..taken], |frame| self.toll.credit(frame));
        }
    }

    /// An error when the client has taken no bytes for too long.
    fn poll_gone<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.streams.is_blocked.set(true);
        let (stream, limits) = (&self.stream, self.limits.get().send);
        let stall = self.stall.get_or_insert_with(|| Box::new(SendStall::new(stream, limits)));
        ready!(stall.poll(cx, stream));
        self.stream.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for MeteredSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = buffer.remaining().min(MAX_READ);
        if this.early.has_remaining() {
            let piece = this.early.split_to(most.min(this.early.len()));
            this.note_received(&piece)?;
            buffer.put_slice(&piece);
            return Poll::Ready(Ok(()));
        }
        let scratch = Rc::clone(&this.scratch);
        let mut scratch = scratch.borrow_mut();
        let count = ready!(this.stream.poll_recv(cx, &mut scratch[..most]))?;
        this.note_received(&scratch[..count])?;
        buffer.put_slice(&scratch[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Write for MeteredSocket {
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
        this.streams.is_blocked.set(false);
        Poll::Ready(Ok(()))
    }

    /// Closes the direction to the client, then reads until the client closes. Closing at once would reset
    /// the connection, and what was sent last could be lost.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.get_or_insert_with(|| Alarm::after(LINGER)).poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if ready!(this.stream.poll_close_write(cx)).is_ok() {
            ready!(this.stream.poll_discard(cx, &mut this.scratch.borrow_mut()));
        }
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
        if let Poll::Ready(sent) = Pin::new(&mut this.stream).poll_write_vectored(cx, parts) {
            if let Ok(count) = sent {
                this.note_sent(parts, count);
            }
            return Poll::Ready(sent);
        }
        this.poll_gone(cx)
    }
}
