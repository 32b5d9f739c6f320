//! One HTTP/2 connection until it is closed.

use std::cell::Cell;
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use tokio::time::Instant;
use tracing::info;

use super::room::ConnectionRoom;
use super::service::StreamService;
use super::socket::MeteredSocket;
use super::stream::{StreamExecutor, Streams};
use crate::proxy::Proxy;
use crate::proxy::client::place::{Client, ClientAddress};
use crate::proxy::client::requester::{Limits, Requester};
use crate::proxy::client::worker::Worker;
use crate::proxy::phases::admit::admission::MAX_REQUEST_LINE;
use crate::proxy::phases::admit::oversized::MAX_FIELDS;
use crate::proxy::socket::alarm::Alarm;
use crate::proxy::socket::entrance::{Entrance, Protocol};
use crate::proxy::socket::exchange::Exchange;
use crate::proxy::socket::stream::Stream;
use crate::proxy::socket::ways::Way;

/// Most requests of one connection at the same time. Browsers send more only when some have ended.
const MAX_STREAMS: u32 = 100;
/// How much of one request body, and of all together, may wait for their apps, bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// How much of one response may wait for the client, bytes.
const MAX_UNSENT: usize = 64 * 1024;
/// Most streams that were reset before they became requests.
const MAX_EARLY_RESETS: usize = 20;
/// Most streams that were reset because the client broke the rules.
const MAX_FAULTS: usize = 100;

/// How long a client whose connection has no more streams may take to receive the end of it.
const LAST_BYTES: Duration = Duration::from_secs(2);
/// The same, if there was no request.
const NO_BYTES: Duration = Duration::from_millis(50);
/// The same, if another client waits for its place, which would wait for a client that never answers. What
/// was just being sent is lost, as on HTTP/1; the GOAWAY says that the client may send it again.
const MAKE_ROOM: Duration = Duration::ZERO;

type Connection = http2::Connection<MeteredSocket, StreamService, StreamExecutor>;

/// Serves a connection until it is closed. `early`: bytes that were received before the protocol was known.
pub(in crate::proxy::client) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    early: Bytes,
    entrance: Entrance,
    client: Client,
) {
    let Client { address, place, at, .. } = client;
    let passage = worker.enter(Way::new(at, &entrance, Protocol::Http2));
    let entrance = (entrance, Rc::clone(&passage));
    stream.set_user_timeout(worker.context().proxy.send_timeout);
    let streams = Streams::new(place.slot().cloned());
    let state = Rc::new(Exchange::of_stream());
    let requester = Requester::new(Rc::clone(&worker), entrance, address, &place, state);
    let ending = Ending::new(Rc::clone(&streams), &requester);
    let client = address.ip();
    let service = StreamService { requester, streams, room: ConnectionRoom::new(client) };
    let connection = open(&worker, stream, early, service);
    if let Err(error) = drive(connection, ending, worker.must_leave(&passage)).await {
        tell(address, &error);
    }
}

/// Gives an accepted connection to hyper.
fn open(worker: &Rc<Worker>, stream: Stream, early: Bytes, service: StreamService) -> Connection {
    let shared = worker.context();
    let (limits, scratch) = (Rc::clone(service.requester.limits()), Rc::clone(&shared.scratch));
    let socket = MeteredSocket::new(stream, early, Rc::clone(&service.streams), limits, scratch);
    let executor =
        StreamExecutor { worker: Rc::clone(worker), streams: Rc::clone(&service.streams) };
    http2::Builder::new(executor)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_UNSENT)
        .max_header_list_size(max_header_list(&shared.proxy))
        .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
        .max_local_error_reset_streams(MAX_FAULTS)
        .serve_connection(socket, service)
}

/// The largest list of header fields that h2 passes on. The phase `admit` enforces `max_header_bytes`; the
/// limit here lets every valid head through, and one that is up to twice too large, which then gets a
/// response of the appliance. HTTP/2 counts 32 bytes more for each field.
fn max_header_list(proxy: &Proxy) -> u32 {
    let largest = 2 * (proxy.max_header_bytes + 32 * MAX_FIELDS) + MAX_REQUEST_LINE + 2048;
    u32::try_from(largest).unwrap_or(u32::MAX)
}

/// Drives hyper until the connection is over. From `leaving` on, only the requests in flight are finished.
async fn drive(
    mut connection: Connection,
    mut ending: Ending,
    leaving: impl Future<Output = ()>,
) -> hyper::Result<()> {
    let mut leaving = pin!(leaving);
    let mut must_leave = false;
    poll_fn(|cx| {
        if !must_leave && leaving.as_mut().poll(cx).is_ready() {
            must_leave = true;
        }
        ending.streams.waker.borrow_mut().clone_from(cx.waker());
        loop {
            if let Poll::Ready(driven) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(driven);
            }
            ending.streams.settle();
            match ending.poll(must_leave, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Step::SayGoodbye) => Pin::new(&mut connection).graceful_shutdown(),
                Poll::Ready(Step::Close) => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

/// When a connection ends.
#[derive(Debug)]
struct Ending {
    streams: Rc<Streams>,
    limits: Rc<Cell<Limits>>,
    opened: Instant,
    alarm: Alarm,
    /// The client knows that it can send no more requests: since when, and how long it may take to close.
    goodbye: Option<(Instant, Duration)>,
}

/// What is to be done with a connection.
#[derive(Debug)]
enum Step {
    /// No more requests are accepted: GOAWAY.
    SayGoodbye,
    Close,
}

impl Ending {
    fn new(streams: Rc<Streams>, requester: &Requester) -> Self {
        let opened = Instant::now();
        let limits = Rc::clone(requester.limits());
        Self { streams, limits, opened, alarm: Alarm::at(opened), goodbye: None }
    }

    fn poll(&mut self, must_leave: bool, cx: &mut Context<'_>) -> Poll<Step> {
        let is_idle = self.streams.open() == 0;
        let makes_room = self.streams.slot().is_some_and(|slot| slot.must_close(cx));
        if let Some(goodbye) = self.goodbye {
            return self.poll_gone(goodbye, is_idle, makes_room, cx);
        }
        let is_over_limit = self.streams.slot().is_none() && self.streams.have_begun();
        let patience = match () {
            () if must_leave || is_over_limit || self.streams.is_overdue.get() => Some(LAST_BYTES),
            () if makes_room => Some(MAKE_ROOM),
            () if is_idle && self.poll_idle(cx).is_ready() => {
                Some(if self.streams.have_begun() { LAST_BYTES } else { NO_BYTES })
            }
            () => None,
        };
        if let Some(patience) = patience {
            self.goodbye = Some((Instant::now(), patience));
            return Poll::Ready(Step::SayGoodbye);
        }
        self.poll_head(cx)
    }

    /// After the GOAWAY: ready when the client has had the time to receive the rest.
    fn poll_gone(
        &mut self,
        (since, patience): (Instant, Duration),
        is_idle: bool,
        makes_room: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        let limits = self.limits.get();
        // A client may leave the GOAWAY unconfirmed and go on with requests.
        if self.streams.last_begun.get().is_some_and(|begun| begun > since + limits.header) {
            return Poll::Ready(Step::Close);
        }
        if !is_idle {
            return self.poll_head(cx);
        }
        let quiet = self.streams.idle_since.get().max(since);
        self.alarm.set(if makes_room {
            quiet + MAKE_ROOM
        } else {
            // Answers to the client's PINGs count as sent bytes, too, so these do not prolong it for ever.
            self.streams.sent_at.get().clamp(quiet, quiet + limits.send.silent) + patience
        });
        self.alarm.poll(cx).map(|()| Step::Close)
    }

    /// Ready when a connection without streams has had the time for its next request.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limits = self.limits.get();
        self.alarm.set(if self.streams.have_begun() {
            self.streams.idle_since.get() + limits.idle
        } else {
            self.opened + limits.header
        });
        self.alarm.poll(cx)
    }

    /// Ready when a request head takes too long. Nothing else of the connection can be read meanwhile.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Some(since) = self.streams.head_since.get() else { return Poll::Pending };
        self.alarm.set(since + self.limits.get().header);
        self.alarm.poll(cx).map(|()| Step::Close)
    }
}

/// Tells the log why a client lost its connection. A client that is gone is no news.
fn tell(address: ClientAddress, error: &hyper::Error) {
    let source = error.source();
    let is_io = |source: &&(dyn Error + 'static)| {
        let h2 = source.downcast_ref::<h2::Error>();
        h2.is_some_and(|h2| h2.is_remote() || h2.get_io().is_some_and(is_gone))
    };
    if source.as_ref().is_some_and(is_io) {
        return;
    }
    let client_ip = address.ip().map(tracing::field::display);
    let why = source.map_or_else(|| error.to_string(), ToString::to_string);
    info!(client_ip, why, "a connection was closed that broke the rules of HTTP/2");
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() != std::io::ErrorKind::Other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::client::capacity::{Admission, Capacity, MaxConnections};
    use crate::proxy::client::send_stall::SendLimits;

    const TIME: Duration = Duration::from_secs(10);

    fn ending(streams: Rc<Streams>) -> Ending {
        let send = SendLimits { alive: TIME, silent: TIME };
        let limits = Rc::new(Cell::new(Limits { header: TIME, idle: TIME, send }));
        let opened = Instant::now();
        Ending { streams, limits, opened, alarm: Alarm::at(opened), goodbye: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_does_not_wait_for_an_idle_one_that_does_not_answer() {
        let capacity = Capacity::new();
        capacity.set_limits(MaxConnections { clients: 1, descriptors: 0 }, None);
        let Admission::Admitted(slot) = capacity.admit(None, || None).await else { panic!() };
        let mut idle = ending(Streams::new(Some(Rc::new(slot))));
        let began = Instant::now();
        let closing = async move {
            let mut steps = Vec::new();
            while !matches!(steps.last(), Some(Step::Close)) {
                steps.push(poll_fn(|cx| idle.poll(false, cx)).await);
            }
            steps.len()
        };
        let (steps, admission) = tokio::join!(closing, capacity.admit(None, || None));
        assert_eq!(steps, 2, "a GOAWAY, and the end");
        assert!(matches!(admission, Admission::Admitted(_)));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
