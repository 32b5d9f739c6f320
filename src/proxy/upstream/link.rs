//! One connection to an app.
//!
//! It has no task of its own: whoever has a request on it drives it along, which saves two
//! switches for each request. Between requests it lies in the [`super::pool`].

use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::time::Instant;

use super::outlet::Outlet;
use super::upload::Upload;
use super::wire::Wire;
use crate::config::{Dial, Upstream};
use crate::proxy::socket::alarm::Alarm;
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
    /// It serves no further request.
    last: bool,
    wire: Rc<Wire>,
    alarm: Alarm,
}

impl Link {
    /// Dials and prepares a new one.
    pub(crate) async fn open(upstream: &Upstream) -> io::Result<Box<Self>> {
        let stream = match &upstream.dial {
            Dial::Tcp(host, port) if upstream.tls => tls_client::connect(host, *port).await?,
            dial => Stream::connect(dial).await?,
        };
        let wire = Rc::new(Wire::default());
        let (sender, connection) = Builder::new()
            .writev(true)
            .max_headers(MAX_FIELDS)
            .handshake(Outlet::new(stream, Rc::clone(&wire)))
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
            last: false,
            wire,
            alarm: Alarm::at(now),
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
        self.wire.hurry.set(true);
        let _ = self.poll_drive(cx);
        self.wire.hurry.set(false);
    }

    /// Whether it is known that no further request can be sent on it.
    pub(super) fn is_used_up(&self) -> bool {
        self.over || self.last
    }

    /// Whether another request may be sent on it: it is open and the last one is done with, body
    /// and all.
    pub(super) fn is_reusable(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll_drive(&mut nobody).is_pending() && self.sender.is_ready()
    }

    /// A request is sent: its answer may begin with a bounded number of interim ones, and
    /// [`Self::poll_deadline`] waits that long for it.
    pub(super) fn begin(&mut self, timeout: Duration) {
        self.wire.begin_head();
        self.set_deadline(timeout);
    }

    /// The head of the answer has come. An app may send a body although an answer to `HEAD`, a 204
    /// and a 304 have none; on a connection that is used again the next request would take the body
    /// for its answer, if it comes late.
    pub(super) fn end_head(&mut self, method: &Method, status: StatusCode) {
        self.wire.end_head();
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        self.last |= bodiless || *method == Method::HEAD;
    }

    /// Whether the connection was given up because the app sent interim answers without end.
    pub(super) fn is_flooded(&self) -> bool {
        self.wire.is_flooded()
    }

    /// From now on [`Self::poll_deadline`] waits that long.
    pub(super) fn set_deadline(&mut self, timeout: Duration) {
        self.alarm.set(Instant::now() + timeout);
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(cx)
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
