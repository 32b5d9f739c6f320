//! One client connection from accept to close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use tracing::info;

use super::capacity::{RefusalSlot, Slot};
use super::send_stall::SendLimits;
use super::timed_stream::{Limits, TimedStream};
use super::unparsed;
use super::worker::Worker;
use crate::proxy::phases::admit::client_address::Peer;
use crate::proxy::pipeline::context::ConnectionContext;
use crate::proxy::pipeline::response_body::ResponseBody;
use crate::proxy::pipeline::serve;
use crate::proxy::socket::alarm::pause;
use crate::proxy::socket::connection_state::{ConnectionState, Turn};
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::socket::stream::Stream;

/// When the appliance stops: how long the rest of a half-received request head may take.
const LAST_HEAD: Duration = Duration::from_millis(500);
/// How long a client that is still sending may take to read its last response.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection over the limit may take to send its request.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection is counted as, until it is closed.
#[derive(Debug)]
pub(super) enum Place {
    /// One of the connections that are served.
    Slot(Rc<Slot>),
    /// One over the limit: its first request is answered with 503.
    Refusal { _counted: RefusalSlot },
}

/// Serves a client connection until it is closed. A tunnel gets its own task, so that the memory for
/// HTTP is freed.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    address: Option<SocketAddr>,
    place: Place,
) {
    let state = Rc::new(ConnectionState::new());
    let proxy = &worker.context.proxy;
    let (slot, longest) = match &place {
        Place::Slot(slot) => (Some(Rc::clone(slot)), Duration::MAX),
        Place::Refusal { .. } => (None, REFUSAL_TIMEOUT),
    };
    let limits = Limits {
        header: proxy.header_timeout.min(longest),
        idle: proxy.idle_timeout.min(longest),
        send: SendLimits { alive: proxy.send_timeout, silent: proxy.body_timeout },
    };
    stream.set_user_timeout(proxy.send_timeout);
    let peer = Rc::new(Peer::new(address, &proxy.trusted));
    let client_ip = peer.address();
    let scratch = Rc::clone(&worker.context.scratch);
    let timed = TimedStream::new(stream, Rc::clone(&state), limits, slot.clone(), scratch);
    let context = ConnectionContext {
        worker: Rc::clone(&worker.context),
        state: Rc::clone(&state),
        peer: Rc::clone(&peer),
        over_limit: slot.is_none(),
    };
    let service = PipelineService { context, slot };
    let mut connection = worker.http.serve_connection(timed, service);
    let driven = drive(&mut connection, &state, &worker).await;
    let parts = connection.into_parts();
    let (mut timed, early) = (parts.io, parts.read_buf);
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
        let (response, reason) = unparsed::respond(status, &early, &peer, proxy);
        let client_ip = client_ip.map(tracing::field::display);
        info!(client_ip, status = status.as_u16(), reason, "bytes that are not a request");
        // If the write fails, the client is gone and cannot be informed.
        let _ = timed.send_refusal(response).await;
    }
    let stream = timed.into_inner();
    if refusal.is_some() || state.unread.get() {
        stream.close_lingering(LINGER).await;
    }
}

/// Drives hyper until the connection is over. When the appliance stops, requests in flight are
/// finished; a half-received head is not a request yet and gets [`LAST_HEAD`].
async fn drive(
    connection: &mut hyper::server::conn::http1::Connection<TimedStream, PipelineService>,
    state: &ConnectionState,
    worker: &Worker,
) -> hyper::Result<()> {
    let mut stop = worker.context.stop.clone();
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
    context: ConnectionContext,
    /// `None` over the limit of connections.
    slot: Option<Rc<Slot>>,
}

impl Service<Request<Incoming>> for PipelineService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        use http_body::Body;
        let context = self.context.clone();
        if let Some(slot) = &self.slot {
            slot.set_busy();
        }
        context.state.turn.set(Turn::Proxy);
        context.state.unread.set(!request.body().is_end_stream());
        Box::pin(serve::serve(context, request))
    }
}
