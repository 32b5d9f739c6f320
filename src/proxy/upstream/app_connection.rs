//! One connection to an app.
//!
//! A connection has no task of its own. The task of the current request polls the connection, which
//! saves two task switches for each request. Between requests the connection is in the
//! [`super::pool`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::time::{Instant, Sleep};

use super::app_stream::{AppStream, QuickAck};
use super::upload::Upload;
use crate::config::{Dial, Upstream};
use crate::proxy::socket::stream::Stream;
use crate::proxy::socket::tls_client;

/// Most header fields of a response.
const MAX_FIELDS: usize = 128;

/// A connection to an app.
pub(crate) struct AppConnection {
    /// Sends the next request.
    pub sender: SendRequest<Upload>,
    connection: Connection<AppStream, Upload>,
    /// hyper's connection has ended and must not be polled again.
    over: bool,
    /// The address of the app.
    pub upstream: Upstream,
    /// The connection has carried a request before. The app may have closed it since.
    pub reused: bool,
    /// The time at which the connection was put into the pool.
    pub idle_since: Instant,
    quick_ack: QuickAck,
    timer: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl AppConnection {
    /// Connects to an address of the app.
    ///
    /// # Errors
    ///
    /// The address cannot be reached, or its TLS certificate is not valid.
    pub(super) async fn open(upstream: &Upstream) -> io::Result<Box<Self>> {
        let stream = match &upstream.dial {
            Dial::Tcp(host, port) if upstream.tls => tls_client::connect(host, *port).await?,
            dial => Stream::connect(dial).await?,
        };
        let quick_ack = QuickAck::default();
        let (sender, connection) = Builder::new()
            .writev(true)
            .max_headers(MAX_FIELDS)
            .handshake(AppStream::new(stream, Rc::clone(&quick_ack)))
            .await
            .map_err(io::Error::other)?;
        let now = Instant::now();
        Ok(Box::new(Self {
            sender,
            connection,
            over: false,
            upstream: upstream.clone(),
            reused: false,
            idle_since: now,
            quick_ack,
            timer: Box::pin(tokio::time::sleep_until(now)),
            deadline: now,
        }))
    }

    /// Sends and receives as much as possible without waiting. Ready when the connection has ended.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        match self.connection.poll_without_shutdown(cx) {
            Poll::Pending => Poll::Pending,
            // The request receives the error, too.
            Poll::Ready(_) => {
                self.over = true;
                Poll::Ready(())
            }
        }
    }

    /// Polls the connection and acknowledges received bytes at once. For a response whose rest has
    /// not arrived yet.
    pub(super) fn poll_with_quick_ack(&mut self, cx: &mut Context<'_>) {
        self.quick_ack.set(true);
        let _ = self.poll_drive(cx);
        self.quick_ack.set(false);
    }

    /// Whether the connection is known to have ended.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the connection can carry another request: it is open, and the last request and its
    /// response are complete.
    pub(super) fn is_reusable(&mut self) -> bool {
        let mut without_waker = Context::from_waker(Waker::noop());
        self.poll_drive(&mut without_waker).is_pending() && self.sender.is_ready()
    }

    /// Sets the time until [`Self::poll_deadline`] is ready.
    pub(super) fn set_deadline(&mut self, timeout: Duration) {
        self.deadline = Instant::now() + timeout;
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The timer is moved only when it has fired or would fire too late: most requests end long
        // before their deadline and never move the timer.
        if self.deadline < self.timer.deadline() {
            self.timer.as_mut().reset(self.deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }

    /// The socket for a tunnel after a 101, and the bytes that were already read from it.
    pub(crate) fn into_stream(self: Box<Self>) -> (Stream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_stream(), parts.read_buf)
    }
}

impl fmt::Debug for AppConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppConnection").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
