//! A connected socket: TCP, unix, or TLS to an app. One type for both sides of the proxy.
//!
//! Implements hyper's `Read` and `Write` for HTTP, and the calls that tunnels use without a
//! buffer of their own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::alarm::within;
use crate::config::Dial;

/// A dead peer of a tunnel is noticed after `IDLE + COUNT × EVERY` seconds.
const PROBE_IDLE: u32 = 30;
const PROBE_EVERY: u32 = 15;
const PROBE_COUNT: u32 = 4;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TokioIo<TcpStream>),
    Unix(TokioIo<UnixStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        // Only a delay is at stake when it fails.
        let _ = stream.set_nodelay(true);
        Self::Tcp(TokioIo::new(stream))
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::Unix(TokioIo::new(stream))
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(TokioIo::new(stream)))
    }

    /// Dials in clear; the caller limits how long that may take.
    pub(crate) async fn connect(dial: &Dial) -> io::Result<Self> {
        match dial {
            Dial::Tcp(host, port) => {
                TcpStream::connect((host.as_str(), *port)).await.map(Self::tcp)
            }
            Dial::Unix(path) => UnixStream::connect(path).await.map(Self::unix),
        }
    }

    /// Reads once into `buffer`; 0 is the end.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Self::Tcp(stream) => Pin::new(stream.inner_mut()).poll_read(cx, &mut buffer),
            Self::Unix(stream) => Pin::new(stream.inner_mut()).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes once; how much that was.
    pub(crate) fn poll_give(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream.inner_mut()).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream.inner_mut()).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_write(cx, bytes),
        }
    }

    /// Sends what was given but is held back: TLS takes more than its socket does.
    pub(crate) fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_flush(cx),
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends our direction; the other one goes on.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
        }
    }

    /// Reads and forgets to the end of the stream.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        loop {
            match ready!(self.poll_take(cx, scratch)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Tells the peer now what has arrived, not with the next thing that we send. Holds until the
    /// kernel thinks otherwise (`tcp(7)`, `TCP_QUICKACK`).
    pub(crate) fn acknowledge(&self) {
        let socket = match self {
            Self::Tcp(stream) => stream.inner(),
            Self::Tls(stream) => stream.inner().get_ref().0,
            Self::Unix(_) => return,
        };
        // Only a delay is at stake when it fails.
        let _ = socket.set_quickack(true);
    }

    /// Lets the kernel end the connection to a peer that takes nothing of what is sent for that
    /// long, whether it is gone or only does not read; zero is as long as it likes. From here
    /// nobody else sees which bytes have arrived.
    pub(crate) fn expect_taken_within(&self, longest: Duration) {
        let Self::Tcp(stream) = self else { return };
        let milliseconds = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
        // Without it the peer is only let go when the kernel thinks so by itself.
        let _ = setsockopt(stream.inner(), sockopt::TcpUserTimeout, &milliseconds);
    }

    /// Lets the kernel notice a peer that vanished without a word.
    pub(crate) fn keep_alive(&self) {
        let socket = match self {
            Self::Tcp(stream) => stream.inner(),
            Self::Tls(stream) => stream.inner().get_ref().0,
            Self::Unix(_) => return,
        };
        // Without these the socket works all the same, it is only noticed later when it is dead.
        let _ = setsockopt(socket, sockopt::KeepAlive, &true);
        let _ = setsockopt(socket, sockopt::TcpKeepIdle, &PROBE_IDLE);
        let _ = setsockopt(socket, sockopt::TcpKeepInterval, &PROBE_EVERY);
        let _ = setsockopt(socket, sockopt::TcpKeepCount, &PROBE_COUNT);
    }

    /// Ends our direction and reads on until the peer has read it all, so that what was sent last
    /// is not lost to a reset (RFC 9112 section 9.6).
    pub(crate) async fn linger(mut self, longest: Duration) {
        let mut scratch = vec![0; 8192];
        let drained = async {
            let _ = std::future::poll_fn(|cx| self.poll_end(cx)).await;
            std::future::poll_fn(|cx| self.poll_drain(cx, &mut scratch)).await;
        };
        within(longest, drained).await;
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            // Sockets hold nothing back.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [whole] = parts {
            // Cheaper for the kernel than a list of one.
            return self.poll_write(cx, whole);
        }
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }
}
