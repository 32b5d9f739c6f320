//! One connection to an app.
//!
//! A connection has no task of its own. The task of the current request polls the connection, which
//! saves two task switches for each request. Between requests the connection is in the
//! [`super::pool`].

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::time::Instant;

use super::app_stream::{AppStream, QuickAck};
use super::head_limit::HeadLimit;
use super::sent_head::SentHead;
use super::upload::Upload;
use crate::config::{Dial, ListenerCheck, ListenerFault, Upstream};
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::stream::Stream;

/// Most bytes of a response that wait for the client, and most of a request that wait for the app. Also the
/// longest head of a response.
const MAX_BUFFER: usize = 64 * 1024;

/// How long a connection to an app that has a name is used: then the name is resolved again.
pub(super) const MAX_AGE: Duration = Duration::from_mins(1);

/// hyper's result of sending a request.
pub(super) type SendResult = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// A connection to an app.
pub(crate) struct AppConnection {
    sender: SendRequest<Upload>,
    connection: Connection<AppStream, Upload>,
    /// hyper's connection has ended and must not be polled again.
    over: bool,
    /// The address of the app.
    pub upstream: Rc<Upstream>,
    /// The process of the app that has accepted the connection; 0 for an app that runs elsewhere.
    pub incarnation: u64,
    /// The connection has carried a request before. The app may have closed it since.
    pub reused: bool,
    /// The time from which on the connection is not used again, because the name of the app may have
    /// another address.
    outdated: Option<Instant>,
    /// The time at which the connection was put into the pool.
    pub idle_since: Instant,
    quick_ack: QuickAck,
    head_limit: Rc<HeadLimit>,
    sent_head: Rc<SentHead>,
    /// The connection must not carry another request.
    last: bool,
    /// For the head of the response.
    alarm: Alarm,
}

impl AppConnection {
    /// Connects to an address of the app.
    ///
    /// # Errors
    ///
    /// The address cannot be reached, its TLS certificate is not valid, or the program that listens
    /// there is not the app.
    pub(super) async fn open(
        upstream: &Upstream,
        listener: Option<&dyn ListenerCheck>,
    ) -> io::Result<Box<Self>> {
        // Before the connection is made: a process that starts meanwhile may not have accepted it.
        let incarnation = listener.map_or(0, ListenerCheck::incarnation);
        let stream = match listener {
            Some(listener) => dial_own(upstream, listener).await?,
            None => Stream::connect(upstream).await?,
        };
        let quick_ack = QuickAck::default();
        let head_limit = Rc::new(HeadLimit::default());
        let sent_head = Rc::new(SentHead::default());
        let shared = (Rc::clone(&quick_ack), Rc::clone(&head_limit), Rc::clone(&sent_head));
        let (sender, connection) = Builder::new()
            .writev(true)
            .max_buf_size(MAX_BUFFER)
            .handshake(AppStream::new(stream, shared))
            .await
            .map_err(io::Error::other)?;
        let now = Instant::now();
        Ok(Box::new(Self {
            sender,
            connection,
            over: false,
            upstream: Rc::new(upstream.clone()),
            incarnation,
            reused: false,
            outdated: is_by_name(&upstream.dial).then(|| now + MAX_AGE),
            idle_since: now,
            quick_ack,
            head_limit,
            sent_head,
            last: false,
            alarm: Alarm::at(now),
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

    /// Sends a request. `keeps`: it has no body, and may be sent again.
    pub(super) fn send(
        &mut self,
        request: Request<Upload>,
        keeps: bool,
    ) -> impl Future<Output = SendResult> + use<> {
        self.sent_head.begin(keeps);
        self.sender.try_send_request(request)
    }

    /// The last request, if it was kept and its whole head was written.
    pub(super) fn sent_request(&self) -> Option<Request<Upload>> {
        self.sent_head.request()
    }

    /// After its next request, the connection must not carry another one.
    pub(super) fn carry_no_more(&mut self) {
        self.last = true;
    }

    /// Whether the connection is known to carry no further request.
    pub(super) fn is_used_up(&self) -> bool {
        self.over || self.last
    }

    /// Whether the address of the connection is too old to be used again.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated.is_some_and(|outdated| Instant::now() >= outdated)
    }

    /// Whether the connection can carry another request: it is open, and the last request and its
    /// response are complete.
    pub(super) fn is_reusable(&mut self) -> bool {
        let mut without_waker = Context::from_waker(Waker::noop());
        self.poll_drive(&mut without_waker).is_pending() && self.sender.is_ready()
    }

    /// Begins to wait for the head of a response: the app may send a bounded number of bytes before the
    /// final head, and [`Self::poll_deadline`] is ready after `timeout`.
    pub(super) fn begin_head(&mut self, timeout: Duration) {
        self.head_limit.begin();
        self.set_deadline(timeout);
    }

    /// Ends the wait: the final head has arrived. Responses to HEAD, 204 and 304 have no body, but an
    /// app may send one. A late body would be the response to the next request on the connection, so
    /// there is none. The same holds after a response with two lengths (RFC 9112 section 6.3).
    pub(super) fn end_head(&mut self, method: &Method, response: &Response<Incoming>) {
        self.head_limit.end();
        let (status, headers) = (response.status(), response.headers());
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let has_two_lengths =
            headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
        self.last |= bodiless || has_two_lengths || *method == Method::HEAD;
    }

    /// Whether the app has sent too many bytes before the final head of its response.
    pub(super) fn is_head_too_long(&self) -> bool {
        self.head_limit.is_exceeded()
    }

    /// Sets the time until [`Self::poll_deadline`] is ready.
    pub(super) fn set_deadline(&mut self, timeout: Duration) {
        self.alarm.set(Instant::now() + timeout);
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(cx)
    }

    /// Whether the app's kernel has refused the last bytes, although the app had closed the connection in
    /// order: it had closed the connection before they arrived.
    pub(super) fn was_reset(self: Box<Self>) -> bool {
        self.connection.into_parts().io.was_reset()
    }

    /// The socket for a tunnel after a 101, and the bytes that were already read from it.
    pub(crate) fn into_stream(self: Box<Self>) -> (Stream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_stream(), parts.read_buf)
    }
}

fn is_by_name(dial: &Dial) -> bool {
    matches!(dial, Dial::Tcp(host, _) if host.parse::<IpAddr>().is_err())
}

/// Connects to the app itself. The listener is checked after the connection is made: before, another
/// program could still take the place of the app.
async fn dial_own(upstream: &Upstream, listener: &dyn ListenerCheck) -> io::Result<Stream> {
    let stream = Stream::connect(upstream).await?;
    let Some(ends) = stream.ends() else { return Ok(stream) };
    match listener.check(ends).await {
        Ok(()) => Ok(stream),
        Err(ListenerFault::Foreign(reason)) => Err(io::Error::other(reason)),
        Err(ListenerFault::Changed) => {
            drop(stream);
            let stream = Stream::connect(upstream).await?;
            let ends = stream.ends().unwrap_or(ends);
            listener.check(ends).await.map(|()| stream).map_err(io::Error::other)
        }
    }
}

impl fmt::Debug for AppConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppConnection").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
