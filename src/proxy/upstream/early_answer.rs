//! The app's side of a connection as hyper sees it: a socket whose writes do not fail.
//!
//! An app may answer before it has read the whole request, and close. hyper would take the failed
//! write for the end of everything; here what the app said before still counts, and reading tells
//! when it really is over. It also acknowledges the first part of an answer at once, see [`Hurry`].

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::proxy::socket::stream::Stream;

/// Whether the rest of an answer is waited for; shared with the connection's owner.
///
/// Servers that write an answer's head and its body in two steps and left Nagle's algorithm on
/// (uvicorn does) hold the body back until the head is acknowledged, which the kernel would do
/// 40 ms later. An answer that came whole is acknowledged with the next request and costs no call.
pub(super) type Hurry = Rc<Cell<bool>>;

/// A socket to an app.
#[derive(Debug)]
pub(super) struct Outlet {
    stream: Stream,
    /// The app reads no more: what is written goes nowhere.
    deaf: bool,
    /// Something was read since we last wrote or acknowledged.
    heard: bool,
    hurry: Hurry,
}

impl Outlet {
    pub(crate) fn new(stream: Stream, hurry: Hurry) -> Self {
        Self { stream, deaf: false, heard: false, hurry }
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
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
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            this.heard = true;
        } else if this.heard && this.hurry.get() {
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
