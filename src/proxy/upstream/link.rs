//! One connection to an app.
//!
//! It has no task of its own: whoever has a request on it drives it along, which saves two
//! switches for each request. Between requests it lies in the [`super::pool`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::time::{Instant, Sleep};

use super::early_answer::{Hurry, Outlet};
use super::upload::Upload;
use crate::config::{Dial, Upstream};
use crate::proxy::socket::stream::Stream;
use crate::proxy::socket::tls_client;

/// Header fields of an answer.
const MAX_FIELDS: usize = 128;

/// A connection to an app.
pub(crate) struct Link {
    /// Takes the next request.
    pub sender: SendRequest<Upload>,
    connection: Connection<Outlet, Upload>,
    /// It has ended and must not be driven again.
    over: bool,
    /// Where it leads.
    pub upstream: Upstream,
    /// It has served before: it may be stale.
    pub reused: bool,
    /// When it was put into the pool.
    pub idle_since: Instant,
    hurry: Hurry,
    alarm: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl Link {
    /// Dials and prepares a new one.
    pub(crate) async fn open(upstream: &Upstream) -> io::Result<Box<Self>> {
        let stream = match &upstream.dial {
            Dial::Tcp(host, port) if upstream.tls => tls_client::connect(host, *port).await?,
            dial => Stream::connect(dial).await?,
        };
        let hurry = Hurry::default();
        let (sender, connection) = Builder::new()
            .writev(true)
            .max_headers(MAX_FIELDS)
            .handshake(Outlet::new(stream, Rc::clone(&hurry)))
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
            hurry,
            alarm: Box::pin(tokio::time::sleep_until(now)),
            deadline: now,
        }))
    }

    /// Moves bytes in both directions as far as they go. Ready when the connection has ended.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        match self.connection.poll_without_shutdown(cx) {
            Poll::Pending => Poll::Pending,
            // What went wrong is told to the request, too.
            Poll::Ready(_) => {
                self.over = true;
                Poll::Ready(())
            }
        }
    }

    /// The rest of an answer has not come: says to the app that its beginning has.
    pub(super) fn poll_hurry(&mut self, cx: &mut Context<'_>) {
        self.hurry.set(true);
        let _ = self.poll_drive(cx);
        self.hurry.set(false);
    }

    /// Whether it is known to have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether another request may be sent on it: it is open and the last one is done with, body
    /// and all.
    pub(super) fn is_reusable(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll_drive(&mut nobody).is_pending() && self.sender.is_ready()
    }

    /// From now on [`Self::poll_deadline`] waits that long.
    pub(super) fn set_deadline(&mut self, timeout: Duration) {
        self.deadline = Instant::now() + timeout;
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The alarm is moved only when it has fired or would fire too late: most requests end
        // long before and never touch it.
        if self.deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(self.deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }

    /// The socket behind it after a 101, and what was read of it already.
    pub(crate) fn into_stream(self: Box<Self>) -> (Stream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_stream(), parts.read_buf)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
