//! One direction of a tunnel: bytes from one socket to another, with no buffer while they flow.
//!
//! What is read lies in a scratch buffer that all tunnels of a thread share; only what the other
//! side does not take at once is kept, so an idle tunnel costs next to nothing and a slow reader
//! holds the writer back.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::frames::{Frames, Passed, close_frame};
use crate::proxy::socket::stream::Stream;

/// Pieces moved before others have their turn.
const TURNS: usize = 32;

/// How a direction came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The source ended and the destination was told.
    Passed,
    /// The source ended without a close frame; nothing was told yet.
    Unannounced,
}

/// Which of its sockets broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Source,
    Destination,
}

/// How far a direction is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The source has ended.
    Ended,
    /// The destination was told.
    Told,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pump {
    frames: Frames,
    stage: Stage,
    /// What the destination did not take yet.
    waiting: Bytes,
    /// Bytes that came in.
    pub bytes: u64,
    /// A close frame has passed.
    closed: bool,
    /// The end is passed on even when no close frame came before.
    pub frank: bool,
    /// A data frame has passed since this was last reset.
    pub active: bool,
}

impl Pump {
    /// Of a direction in which `early` has been read already.
    pub(crate) fn new(early: Bytes, frank: bool) -> Self {
        let mut pump = Self { frank, ..Self::default() };
        let passed = pump.frames.feed(&early);
        pump.note(passed, early.len());
        pump.waiting = early;
        pump
    }

    fn note(&mut self, passed: Passed, count: usize) {
        self.active |= passed.data;
        self.closed |= passed.close;
        self.bytes += count as u64;
    }

    /// Moves what can be moved. Ready when this direction is over.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
    ) -> Poll<Result<End, Lost>> {
        let (source, destination) = (|_| Lost::Source, |_| Lost::Destination);
        for _ in 0..TURNS {
            ready!(self.poll_waiting(cx, to)).map_err(destination)?;
            match self.stage {
                Stage::Told => return Poll::Ready(Ok(End::Passed)),
                Stage::Ended if self.closed || self.frank => {
                    ready!(to.poll_end(cx)).map_err(destination)?;
                    self.stage = Stage::Told;
                }
                Stage::Ended => return Poll::Ready(Ok(End::Unannounced)),
                Stage::Open => {
                    let bytes = ready!(self.poll_source(cx, from, scratch)).map_err(source)?;
                    let passed = self.frames.feed(bytes);
                    self.note(passed, bytes.len());
                    self.send(cx, to, bytes).map_err(destination)?;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the frame that is under way end, then puts a close frame in. Ready when it is sent, or
    /// when none can be sent any more.
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
            if self.closed || self.stage == Stage::Told {
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
            let (rest, passed) = self.frames.feed_to_boundary(bytes);
            self.note(passed, rest);
            self.send(cx, to, &bytes[..rest])?;
        }
    }

    /// Reads once; nothing is the end.
    fn poll_source<'a>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        scratch: &'a mut [u8],
    ) -> Poll<io::Result<&'a [u8]>> {
        let count = ready!(from.poll_take(cx, scratch))?;
        if count == 0 {
            self.stage = Stage::Ended;
        }
        Poll::Ready(Ok(&scratch[..count]))
    }

    /// Sends at once what goes, keeps the rest.
    fn send(&mut self, cx: &mut Context<'_>, to: &mut Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = match to.poll_give(cx, bytes) {
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
            let sent = ready!(to.poll_give(cx, &self.waiting))?;
            drop(self.waiting.split_to(sent));
        }
        // An emptied piece of a large buffer would keep it alive.
        self.waiting = Bytes::new();
        to.poll_out(cx)
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/proxy/tunnel/pump.rs"]
mod tests;
