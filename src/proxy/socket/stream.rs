//! A connected socket: TCP, unix, or TLS. Clients and apps use the same type.
//!
//! The socket implements hyper's `Read` and `Write` for HTTP, and `poll_recv` and `poll_send` for
//! tunnels, which have no buffer of their own.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::alarm::within;
use super::tcp_info::{self, SentBytes};
use crate::config::{Dial, Ends, Upstream};
use crate::net;

/// Silence before the first keep-alive probe, seconds. The kernel closes the connection of a dead
/// peer after `PROBE_IDLE + PROBE_COUNT × PROBE_INTERVAL` seconds.
const PROBE_IDLE: u32 = 30;
/// Time between two keep-alive probes, seconds.
const PROBE_INTERVAL: u32 = 15;
/// Probes without a response after which the peer counts as dead.
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
        // Without TCP_NODELAY small writes are only slower, so an error is ignored.
        let _ = stream.set_nodelay(true);
        Self::Tcp(TokioIo::new(stream))
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::Unix(TokioIo::new(stream))
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(TokioIo::new(stream)))
    }

    /// Connects, and verifies an app with TLS. The caller limits the time.
    pub(crate) async fn connect(upstream: &Upstream) -> io::Result<Self> {
        match &upstream.dial {
            Dial::Tcp(host, port) => {
                let stream = net::connect_to_name(host, *port).await?;
                let Some(tls) = &upstream.tls else { return Ok(Self::tcp(stream)) };
                // Without TCP_NODELAY small writes are only slower, so an error is ignored.
                let _ = stream.set_nodelay(true);
                // In a box: the future of a handshake is large, and most apps have none.
                let secured = Box::pin(net::secure(stream, tls.handshake(host)?)).await?;
                Ok(Self::tls(secured.into()))
            }
            Dial::Loopback(own) => net::connect(own.address()).await.map(Self::tcp),
            Dial::Unix(socket) => socket.connect().await.map(Self::unix),
        }
    }

    /// The TCP socket; `None` for a unix socket.
    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream.inner()),
            Self::Tls(stream) => Some(stream.inner().get_ref().0),
            Self::Unix(_) => None,
        }
    }

    /// Whether the peer must be told that the stream ends: without it, a peer cannot know that nothing
    /// was cut off (RFC 8446 section 6.1).
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The addresses that the socket connects; `None` for a unix socket.
    pub(crate) fn ends(&self) -> Option<Ends> {
        let tcp = self.socket()?;
        Some(Ends { local: tcp.local_addr().ok()?, peer: tcp.peer_addr().ok()? })
    }

    /// Reads once into `buffer` and returns the number of bytes; 0 is the end of the stream.
    pub(crate) fn poll_recv(
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

    /// Writes once and returns the number of bytes that the socket took.
    pub(crate) fn poll_send(
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

    /// Sends the bytes that TLS holds back: TLS accepts more bytes than its socket can send.
    pub(crate) fn poll_flush_tls(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_flush(cx),
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    /// Closes the direction to the peer. Reading from the peer stays possible.
    pub(crate) fn poll_close_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.inner_mut()).poll_shutdown(cx),
        }
    }

    /// Reads to the end of the stream and discards the bytes.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        loop {
            match ready!(self.poll_recv(cx, scratch)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Acknowledges received bytes at once instead of with the next write. The kernel may return to
    /// delayed acknowledgements later (`tcp(7)`, `TCP_QUICKACK`).
    pub(crate) fn acknowledge_now(&self) {
        let Some(socket) = self.socket() else { return };
        // Without TCP_QUICKACK the peer only waits longer, so an error is ignored.
        let _ = socket.set_quickack(true);
    }

    /// Makes the kernel close the connection when the peer takes no sent bytes for `longest`,
    /// because the peer is gone or does not read; zero is no limit (`tcp(7)`, `TCP_USER_TIMEOUT`).
    pub(crate) fn set_user_timeout(&self, longest: Duration) {
        let Some(socket) = self.socket() else { return };
        let milliseconds = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
        // Without the option the kernel closes the connection after its own, longer time limit.
        let _ = setsockopt(socket, sockopt::TcpUserTimeout, &milliseconds);
    }

    /// Whether the kernel knows an error that no read or write has reported. After the orderly end of what
    /// the peer sends, reads report that end only.
    pub(crate) fn has_error(&self) -> bool {
        let error = match self {
            Self::Unix(stream) => stream.inner().take_error(),
            Self::Tcp(_) | Self::Tls(_) => self.socket().map_or(Ok(None), TcpStream::take_error),
        };
        error.is_ok_and(|error| error.is_some())
    }

    /// What the kernel knows about the sent bytes; `None` on a unix socket.
    pub(crate) fn sent_bytes(&self) -> Option<SentBytes> {
        self.socket().and_then(tcp_info::sent_bytes)
    }

    /// Limits the pause between two questions of the kernel to a peer that does not read.
    pub(crate) fn limit_pause(&self, longest: Duration) {
        if let Some(socket) = self.socket() {
            tcp_info::limit_pause(socket, longest);
        }
    }

    /// Makes the close of the connection drop what the peer has not read yet. The peer sees a reset.
    pub(crate) fn reset_on_close(&self) {
        let Some(socket) = self.socket() else { return };
        // Without the option the peer can read the rest of what was sent.
        let _ = socket.set_zero_linger();
    }

    /// Makes the kernel probe a silent peer, so that a peer that vanished is noticed.
    pub(crate) fn enable_keep_alive(&self) {
        if let Some(socket) = self.socket() {
            keep_alive(socket);
        }
    }

    /// Closes the direction to the peer, then reads until the peer closes, for at most `longest`.
    /// Closing at once would reset the connection, and the last response could be lost (RFC 9112
    /// section 9.6).
    pub(crate) async fn close_lingering(mut self, longest: Duration) {
        let mut scratch = vec![0; 8192];
        let drained = async {
            let _ = std::future::poll_fn(|cx| self.poll_close_write(cx)).await;
            std::future::poll_fn(|cx| self.poll_discard(cx, &mut scratch)).await;
        };
        within(longest, drained).await;
    }
}

/// Makes the kernel probe a silent peer. The connections of a listening socket inherit this.
pub(super) fn keep_alive(socket: &impl AsFd) {
    // Without these options the socket works; a dead peer is only noticed later.
    let _ = setsockopt(socket, sockopt::KeepAlive, &true);
    let _ = setsockopt(socket, sockopt::TcpKeepIdle, &PROBE_IDLE);
    let _ = setsockopt(socket, sockopt::TcpKeepInterval, &PROBE_INTERVAL);
    let _ = setsockopt(socket, sockopt::TcpKeepCount, &PROBE_COUNT);
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
            // TCP and unix sockets have no buffer in this process.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close_write(cx)
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
            // A plain write costs the kernel less than a vectored write of one part.
            return self.poll_write(cx, whole);
        }
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }
}
