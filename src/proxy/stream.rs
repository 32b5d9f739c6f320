//! A connected socket, TCP or unix: one type for both sides of the proxy.
//!
//! Implements hyper's `Read` and `Write` for HTTP, and the non-blocking calls that tunnels use
//! without a buffer of their own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Dial;

/// A dead peer of a tunnel is noticed after `IDLE + COUNT × EVERY`.
const PROBE_IDLE: u32 = 30;
const PROBE_EVERY: u32 = 15;
const PROBE_COUNT: u32 = 4;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TokioIo<TcpStream>),
    Unix(TokioIo<UnixStream>),
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        // Only a delay is at stake when it fails.
        let _ = stream.set_nodelay(true);
        Self::Tcp(TokioIo::new(stream))
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::Unix(TokioIo::new(stream))
    }

    /// Dials; the caller limits how long that may take.
    pub(super) async fn connect(dial: &Dial) -> io::Result<Self> {
        match dial {
            Dial::Tcp(host, port) => {
                TcpStream::connect((host.as_str(), *port)).await.map(Self::tcp)
            }
            Dial::Unix(path) => UnixStream::connect(path).await.map(Self::unix),
        }
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.inner().try_read(buffer),
            Self::Unix(stream) => stream.inner().try_read(buffer),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.inner().try_write(bytes),
            Self::Unix(stream) => stream.inner().try_write(bytes),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.inner().poll_read_ready(cx),
            Self::Unix(stream) => stream.inner().poll_read_ready(cx),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.inner().poll_write_ready(cx),
            Self::Unix(stream) => stream.inner().poll_write_ready(cx),
        }
    }

    /// Ends our direction; the other one goes on.
    pub(super) fn shutdown_write(&self) {
        use std::os::fd::AsRawFd;
        let fd = match self {
            Self::Tcp(stream) => stream.inner().as_raw_fd(),
            Self::Unix(stream) => stream.inner().as_raw_fd(),
        };
        // A peer that is gone already has nothing to be told.
        let _ = nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Write);
    }

    /// Lets the kernel notice a peer that vanished without a word.
    pub(super) fn keep_alive(&self) {
        let Self::Tcp(stream) = self else { return };
        let socket = stream.inner();
        // Without these the socket works all the same, it is only noticed later when it is dead.
        let _ = setsockopt(socket, sockopt::KeepAlive, &true);
        let _ = setsockopt(socket, sockopt::TcpKeepIdle, &PROBE_IDLE);
        let _ = setsockopt(socket, sockopt::TcpKeepInterval, &PROBE_EVERY);
        let _ = setsockopt(socket, sockopt::TcpKeepCount, &PROBE_COUNT);
    }

    /// Ends our direction and reads on until the peer has read it all, so that what was sent last
    /// is not lost to a reset (RFC 9112 section 9.6).
    pub(super) async fn linger(self, longest: Duration) {
        self.shutdown_write();
        let mut scratch = vec![0; 8192];
        let drained = std::future::poll_fn(|cx| {
            loop {
                match self.poll_read_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(())) => {}
                }
                match self.try_read(&mut scratch) {
                    Ok(0) => return Poll::Ready(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(()),
                }
            }
        });
        let _ = tokio::time::timeout(longest, drained).await;
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
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets hold nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }
}
