//! One client connection from accept to close.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use tracing::info;

use super::capacity::{RefusalSlot, Slot};
use super::handshake;
use super::send_stall::SendLimits;
use super::timed_stream::{Limits, TimedStream};
use super::unparsed;
use super::worker::Worker;
use crate::proxy::Proxy;
use crate::proxy::phases::admit::client_address::Peer;
use crate::proxy::pipeline::context::ConnectionContext;
use crate::proxy::pipeline::response_body::ResponseBody;
use crate::proxy::pipeline::serve;
use crate::proxy::socket::alarm::{pause, within};
use crate::proxy::socket::connection_state::{ConnectionState, Turn};
use crate::proxy::socket::entrance::{Entrance, Speaks};
use crate::proxy::socket::listen::Accepted;
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::socket::stream::Stream;

/// When the appliance stops: how long the rest of a half-received request head may take.
const LAST_HEAD: Duration = Duration::from_millis(500);
/// How long a client that is still sending may take to read its last response.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection over the limit may take to send its request.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

type Connection = hyper::server::conn::http1::Connection<TimedStream, PipelineService>;

/// What a connection is counted as, until it is closed.
#[derive(Debug)]
pub(super) enum Place {
    /// One of the connections that are served.
    Slot(Rc<Slot>),
    /// One over the limit: its first request is answered with 503.
    Refusal { _counted: RefusalSlot },
}

impl Place {
    /// The time that the connection has for what may take `usual`.
    fn longest(&self, usual: Duration) -> Duration {
        match self {
            Self::Slot(_) => usual,
            Self::Refusal { .. } => usual.min(REFUSAL_TIMEOUT),
        }
    }
}

/// Serves a client connection until it is closed. A tunnel gets its own task, so that the memory for
/// HTTP is freed.
pub(super) async fn serve(
    worker: Rc<Worker>,
    accepted: Accepted,
    speaks: Speaks,
    address: Option<SocketAddr>,
    place: Place,
) {
    let secured = enter(&worker, accepted, speaks, address, &place).await;
    let Some((stream, entrance)) = secured else { return };
    let state = Rc::new(ConnectionState::new());
    let mut connection = open(&worker, stream, entrance, address, &place, Rc::clone(&state));
    let driven = drive(&mut connection, &state, &worker).await;
    let parts = connection.into_parts();
    let (mut timed, early, service) = (parts.io, parts.read_buf, parts.service);
    if driven.is_err_and(|error| error.is_parse()) {
        timed.refuse_unparsed();
    }
    if let Some(takeover) = state.takeover.take() {
        let stream = timed.into_inner();
        if let Place::Slot(slot) = &place {
            slot.set_busy();
        }
        let takeover = takeover.run(stream, early);
        worker.spawn(async move {
            takeover.await;
            drop(place);
        });
        return;
    }
    let refusal = timed.refusal();
    if let Some(status) = refusal {
        let context = service.context();
        let (response, reason) = unparsed::respond(status, &early, &context);
        let client_ip = context.peer.address().map(tracing::field::display);
        info!(client_ip, status = status.as_u16(), reason, "bytes that are not a request");
        // If the write fails, the client is gone and cannot be informed.
        let _ = timed.send_refusal(response).await;
    }
    let mut stream = timed.into_inner();
    if refusal.is_some() || state.unread.get() {
        stream.close_lingering(LINGER).await;
    } else if stream.is_tls() {
        within(LINGER, poll_fn(|cx| stream.poll_close_write(cx))).await;
    }
}

/// Completes the TLS handshake where the address speaks TLS. `None` if the connection is over.
async fn enter(
    worker: &Worker,
    accepted: Accepted,
    speaks: Speaks,
    address: Option<SocketAddr>,
    place: &Place,
) -> Option<(Stream, Entrance)> {
    let tcp = match accepted {
        Accepted::Tcp(tcp) => tcp,
        Accepted::Unix(unix) => return Some((Stream::unix(unix), Entrance::Clear)),
    };
    let proxy = Arc::clone(&worker.context().proxy);
    let front = match (speaks, &proxy.tls) {
        (Speaks::Redirects, _) => return Some((Stream::tcp(tcp), Entrance::Redirect)),
        (Speaks::Http, Some(front)) => front,
        (Speaks::Http, None) => return Some((Stream::tcp(tcp), Entrance::Clear)),
    };
    let client_ip = address.map(|address| address.ip().to_canonical());
    let longest = place.longest(proxy.header_timeout);
    let securing = handshake::secure(tcp, front, client_ip, &proxy, longest);
    tokio::select! {
        secured = securing => secured,
        () = must_close(worker, place) => None,
    }
}

/// Waits until a connection without a request has to make room, or the appliance stops.
async fn must_close(worker: &Worker, place: &Place) {
    let mut stop = worker.stop.clone();
    let stopping = stop.wait_for(|stop| *stop != StopStage::Running);
    let makes_room = poll_fn(|cx| match place {
        Place::Slot(slot) if slot.must_close(cx) => Poll::Ready(()),
        Place::Slot(_) | Place::Refusal { .. } => Poll::Pending,
    });
    tokio::select! {
        _ = stopping => {}
        () = makes_room => {}
    }
}

/// Gives an accepted connection to hyper.
fn open(
    worker: &Rc<Worker>,
    stream: Stream,
    entrance: Entrance,
    address: Option<SocketAddr>,
    place: &Place,
    state: Rc<ConnectionState>,
) -> Connection {
    let shared = worker.context();
    let proxy = &shared.proxy;
    let slot = match place {
        Place::Slot(slot) => Some(Rc::clone(slot)),
        Place::Refusal { .. } => None,
    };
    let limits = Rc::new(Cell::new(limits(proxy, place.longest(Duration::MAX))));
    stream.set_user_timeout(proxy.send_timeout);
    let peer = Rc::new(Peer::new(address, &proxy.trusted));
    let (scratch, http) = (Rc::clone(&shared.scratch), Worker::http(proxy));
    let timed =
        TimedStream::new(stream, Rc::clone(&state), Rc::clone(&limits), slot.clone(), scratch);
    let (entrance, over_limit) = (Rc::new(entrance), slot.is_none());
    let context = ConnectionContext { worker: shared, state, peer, entrance, over_limit };
    let context = RefCell::new(context);
    let worker = Rc::clone(worker);
    http.serve_connection(timed, PipelineService { worker, context, address, limits, slot })
}

/// Drives hyper until the connection is over. When the appliance stops, requests in flight are
/// finished; a half-received head is not a request yet and gets [`LAST_HEAD`].
async fn drive(
    connection: &mut Connection,
    state: &ConnectionState,
    worker: &Worker,
) -> hyper::Result<()> {
    let mut stop = worker.stop.clone();
    let stopping = async {
        let _ = stop.wait_for(|stop| *stop != StopStage::Running).await;
    };
    tokio::pin!(stopping);
    {
        let working = poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            biased;
            () = &mut stopping => {}
            driven = working => return driven,
        }
    }
    Pin::new(&mut *connection).graceful_shutdown();
    let working = poll_fn(|cx| connection.poll_without_shutdown(cx));
    tokio::pin!(working);
    tokio::select! {
        biased;
        driven = &mut working => return driven,
        () = pause(LAST_HEAD) => {}
    }
    if state.turn.get() == Turn::Client { Ok(()) } else { working.await }
}

/// Passes the requests of one connection from hyper to the pipeline.
#[derive(Debug)]
struct PipelineService {
    worker: Rc<Worker>,
    context: RefCell<ConnectionContext>,
    address: Option<SocketAddr>,
    limits: Rc<Cell<Limits>>,
    /// `None` over the limit of connections.
    slot: Option<Rc<Slot>>,
}

impl PipelineService {
    /// The context of the next request: with the newest proxy.
    fn context(&self) -> ConnectionContext {
        let mut context = self.context.borrow_mut();
        let newest = self.worker.context();
        if !Rc::ptr_eq(&newest, &context.worker) {
            let longest = if context.over_limit { REFUSAL_TIMEOUT } else { Duration::MAX };
            self.limits.set(limits(&newest.proxy, longest));
            context.peer = Rc::new(Peer::new(self.address, &newest.proxy.trusted));
            context.worker = newest;
        }
        context.clone()
    }
}

fn limits(proxy: &Proxy, longest: Duration) -> Limits {
    Limits {
        header: proxy.header_timeout.min(longest),
        idle: proxy.idle_timeout.min(longest),
        send: SendLimits { alive: proxy.send_timeout, silent: proxy.body_timeout },
    }
}

impl Service<Request<Incoming>> for PipelineService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        use http_body::Body;
        let context = self.context();
        if let Some(slot) = &self.slot {
            slot.set_busy();
        }
        context.state.turn.set(Turn::Proxy);
        context.state.unread.set(!request.body().is_end_stream());
        Box::pin(serve::serve(context, request))
    }
}
