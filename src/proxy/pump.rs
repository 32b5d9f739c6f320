//! One direction of a tunnel: bytes from one socket to another, with no buffer while they flow.
//!
//! What is read lies in a scratch buffer that all tunnels of a thread share; only what the other
//! side does not take at once is kept, so an idle tunnel costs next to nothing and a slow reader
//! holds the writer back.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::frames::{Frames, Passed, close_frame};
use super::stream::Stream;

/// Pieces moved before others have their turn.
const TURNS: usize = 32;

/// How a direction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The source ended and the destination was told.
    Passed,
    /// The source ended without a close frame; nothing was told yet.
    Unannounced,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pump {
    frames: Frames,
    /// What the destination did not take yet.
    waiting: Bytes,
    /// Bytes that came in.
    pub bytes: u64,
    /// The source has ended.
    ended: bool,
    /// A close frame has passed.
    closed: bool,
    /// The end is passed on even when no close frame came before.
    pub frank: bool,
    /// Nothing more will be sent.
    shut: bool,
    /// A data frame has passed since this was last reset.
    pub active: bool,
}

impl Pump {
    /// Of a direction in which `early` has been read already.
    pub(super) fn new(early: Bytes, frank: bool) -> Self {
        let mut pump = Self { frank, ..Self::default() };
        if !early.is_empty() {
            pump.note(|frames| frames.feed(&early), early.len());
            pump.waiting = early;
        }
        pump
    }

    fn note(&mut self, feed: impl FnOnce(&mut Frames) -> Passed, count: usize) {
        let passed = feed(&mut self.frames);
        self.active |= passed.data;
        self.closed |= passed.close;
        self.bytes += count as u64;
    }

    /// Moves what can be moved. Ready when this direction is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        scratch: &mut [u8],
    ) -> Poll<io::Result<End>> {
        for _ in 0..TURNS {
            ready!(self.poll_flush(cx, to))?;
            if self.shut {
                return Poll::Ready(Ok(End::Passed));
            }
            if self.ended {
                if !self.closed && !self.frank {
                    return Poll::Ready(Ok(End::Unannounced));
                }
                to.shutdown_write();
                self.shut = true;
                return Poll::Ready(Ok(End::Passed));
            }
            let count = ready!(self.poll_take(cx, from, scratch))?;
            let bytes = &scratch[..count];
            self.note(|frames| frames.feed(bytes), count);
            self.send(to, bytes)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the frame that is under way end, then puts a close frame in. Ready when it is sent, or
    /// when there is none to send.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        scratch: &mut [u8],
        (code, masked): (u16, bool),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush(cx, to))?;
            if self.closed || self.shut {
                return Poll::Ready(Ok(()));
            }
            if self.frames.at_boundary() {
                self.closed = true;
                self.waiting = Bytes::from(close_frame(code, masked));
                continue;
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let count = ready!(self.poll_take(cx, from, scratch))?;
            let mut taken = 0;
            let bytes = &scratch[..count];
            self.note(
                |frames| {
                    let (rest, passed) = frames.feed_to_boundary(bytes);
                    taken = rest;
                    passed
                },
                count,
            );
            self.send(to, &bytes[..taken])?;
        }
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            match from.try_read(scratch) {
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(Ok(0));
                }
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends at once what goes, keeps the rest.
    fn send(&mut self, to: &Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = match to.try_write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent < bytes.len() {
            self.waiting = Bytes::copy_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            ready!(to.poll_write_ready(cx))?;
            match to.try_write(&self.waiting) {
                Ok(count) => drop(self.waiting.split_to(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // An emptied piece of a large buffer would keep it alive.
        self.waiting = Bytes::new();
        Poll::Ready(Ok(()))
    }
}
