//! One direction of a tunnel: copies bytes from one socket to the other.
//!
//! Bytes are read into a buffer that all tunnels of a thread share. A direction keeps only the bytes
//! that its destination does not take at once. So an idle tunnel needs almost no memory, and a slow
//! reader slows the sender down.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::frames::{FrameTracker, SeenFrames, close_frame};
use crate::proxy::socket::stream::Stream;

/// Most reads in one poll. Then other tasks of the thread get their turn.
const MAX_READS: usize = 32;

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The source's stream ended, and the destination's stream was closed.
    Forwarded,
    /// The source's stream ended without a close frame. The destination's stream is still open.
    WithoutClose,
}

/// The socket whose connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokenSocket {
    Source,
    Destination,
}

/// How far a direction has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The source's stream has ended.
    Ended,
    /// The destination's stream is closed.
    Forwarded,
}

/// One direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Relay {
    frames: FrameTracker,
    stage: Stage,
    /// Bytes that the destination has not taken yet.
    waiting: Bytes,
    /// The number of bytes received from the source.
    pub bytes: u64,
    /// A close frame has passed.
    pub closed: bool,
    /// The end of the source's stream is forwarded also without a close frame.
    pub forward_end: bool,
    /// A data frame has passed since this flag was last reset.
    pub active: bool,
}

impl Relay {
    /// A direction from whose source `early` has already been read.
    pub(super) fn new(early: Bytes, forward_end: bool) -> Self {
        let mut relay = Self { forward_end, ..Self::default() };
        let seen = relay.frames.feed(&early);
        relay.count(seen, early.len());
        relay.waiting = early;
        relay
    }

    fn count(&mut self, seen: SeenFrames, count: usize) {
        self.active |= seen.data;
        self.closed |= seen.close;
        self.bytes += count as u64;
    }

    /// Copies as much as possible without waiting. Ready when this direction has ended.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
    ) -> Poll<Result<End, BrokenSocket>> {
        let (source, destination) = (|_| BrokenSocket::Source, |_| BrokenSocket::Destination);
        for _ in 0..MAX_READS {
            ready!(self.poll_waiting(cx, to)).map_err(destination)?;
            match self.stage {
                Stage::Forwarded => return Poll::Ready(Ok(End::Forwarded)),
                Stage::Ended if self.closed || self.forward_end => {
                    ready!(to.poll_close_write(cx)).map_err(destination)?;
                    self.stage = Stage::Forwarded;
                }
                Stage::Ended => return Poll::Ready(Ok(End::WithoutClose)),
                Stage::Open => {
                    let bytes = ready!(self.poll_source(cx, from, scratch)).map_err(source)?;
                    let seen = self.frames.feed(bytes);
                    self.count(seen, bytes.len());
                    self.send(cx, to, bytes).map_err(destination)?;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Copies the rest of the current frame, then sends a close frame with `code`; `masked` is for a
    /// frame to a server. Ready when the close frame is sent, or when none can be sent any more.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
        (code, masked): (u16, bool),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_waiting(cx, to))?;
            if self.closed || self.stage == Stage::Forwarded {
                return Poll::Ready(Ok(()));
            }
            if self.frames.at_boundary() {
                self.closed = true;
                self.waiting = Bytes::from(close_frame(code, masked));
                continue;
            }
            if self.stage == Stage::Ended {
                return Poll::Ready(Ok(()));
            }
            let bytes = ready!(self.poll_source(cx, from, scratch))?;
            let (rest, seen) = self.frames.feed_to_boundary(bytes);
            self.count(seen, rest);
            self.send(cx, to, &bytes[..rest])?;
        }
    }

    /// Reads once. An empty slice is the end of the stream.
    fn poll_source<'a>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        scratch: &'a mut [u8],
    ) -> Poll<io::Result<&'a [u8]>> {
        let count = ready!(from.poll_recv(cx, scratch))?;
        if count == 0 {
            self.stage = Stage::Ended;
        }
        Poll::Ready(Ok(&scratch[..count]))
    }

    /// Sends as many bytes as the destination takes, and keeps the rest.
    fn send(&mut self, cx: &mut Context<'_>, to: &mut Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = match to.poll_send(cx, bytes) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        if sent < bytes.len() {
            self.waiting = Bytes::copy_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(to.poll_send(cx, &self.waiting))?;
            drop(self.waiting.split_to(sent));
        }
        // An empty `Bytes` would keep its buffer in memory.
        self.waiting = Bytes::new();
        to.poll_flush_tls(cx)
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/proxy/tunnel/relay.rs"]
mod tests;
