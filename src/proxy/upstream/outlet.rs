//! The app's side of a connection as hyper sees it: a socket whose writes do not fail, and whose
//! answers have a bounded head.
//!
//! An app may answer before it has read the whole request, and close. hyper would take the failed
//! write for the end of everything; here what the app said before still counts, and reading tells
//! when it really is over. The socket also acknowledges the first part of an answer at once, see
//! [`Wire::hurry`], and counts what comes before the final head, see [`Wire::begin_head`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::wire::{Allowance, Wire};
use crate::proxy::socket::stream::Stream;

/// A socket to an app.
#[derive(Debug)]
pub(super) struct Outlet {
    stream: Stream,
    /// The app reads no more: what is written goes nowhere.
    deaf: bool,
    /// Something was read since we last wrote or acknowledged.
    heard: bool,
    wire: Rc<Wire>,
    /// Bytes of a head pass through it when they have to be counted; empty otherwise.
    counted: Vec<u8>,
}

/// Most bytes of a head that are counted at once.
const PIECE: usize = 8192;

impl Outlet {
    pub(super) fn new(stream: Stream, wire: Rc<Wire>) -> Self {
        Self { stream, deaf: false, heard: false, wire, counted: Vec::new() }
    }

    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Reads a piece of a head of which much has come already.
    fn read_counted(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
        left: usize,
    ) -> Poll<io::Result<()>> {
        self.counted.resize(PIECE, 0);
        let most = buffer.remaining().min(PIECE).min(left);
        let count = ready!(self.stream.poll_take(cx, &mut self.counted[..most]))?;
        buffer.put_slice(&self.counted[..count]);
        self.wire.count(count);
        Poll::Ready(Ok(()))
    }

    /// `total` is what was to be written.
    fn forgive(
        &mut self,
        written: Poll<io::Result<usize>>,
        total: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Ready(Ok(total))
            }
            other => other,
        }
    }
}

impl Read for Outlet {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = match this.wire.allowance() {
            Allowance::Free => {
                this.counted = Vec::new();
                Pin::new(&mut this.stream).poll_read(cx, buffer)
            }
            Allowance::Bytes(left) => this.read_counted(cx, buffer, left),
            Allowance::UsedUp => Poll::Ready(Err(io::Error::other("interim answers without end"))),
        };
        if read.is_ready() {
            this.heard = true;
            this.wire.note_read();
        } else if this.heard && this.wire.hurry.get() {
            this.heard = false;
            this.stream.acknowledge();
        }
        read
    }
}

impl Write for Outlet {
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
                this.deaf = true;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_end(cx)
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
        if this.deaf {
            return Poll::Ready(Ok(total));
        }
        this.heard = false;
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.forgive(written, total)
    }
}
