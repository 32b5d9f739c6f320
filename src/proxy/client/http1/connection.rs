//! One HTTP/1 connection until it is closed, or until a tunnel takes it over.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use tracing::info;

use super::timed_stream::TimedStream;
use super::unparsed;
use crate::proxy::client::place::Client;
use crate::proxy::client::requester::Requester;
use crate::proxy::client::worker::Worker;
use crate::proxy::pipeline::response_body::ResponseBody;
use crate::proxy::pipeline::serve;
use crate::proxy::socket::alarm::{pause, within};
use crate::proxy::socket::entrance::{Entrance, Protocol};
use crate::proxy::socket::exchange::{Exchange, Turn};
use crate::proxy::socket::stream::Stream;
use crate::proxy::socket::ways::Way;

/// When the connection has to end: how long the rest of a half-received request head may take.
const LAST_HEAD: Duration = Duration::from_millis(500);
/// The same on a way that a reload has shut: nobody waits for the end, and a client that has just
/// connected must get its answer.
const LAST_HEAD_BY_A_SHUT_WAY: Duration = Duration::from_secs(5);
/// How long a client that is still sending may take to read its last response.
const LINGER: Duration = Duration::from_secs(2);

type Connection = hyper::server::conn::http1::Connection<TimedStream, PipelineService>;

/// Serves a connection until it is closed. `early`: bytes that were received before the protocol was known.
/// A tunnel gets its own task, so that the memory for HTTP is freed.
pub(in crate::proxy::client) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    early: Bytes,
    entrance: Entrance,
    client: Client,
) {
    let Client { address, place, at, .. } = client;
    let state = Rc::new(Exchange::of_connection());
    let passage = worker.enter(Way::new(at, &entrance, Protocol::Http1));
    let entrance = (entrance, Rc::clone(&passage));
    let requester =
        Requester::new(Rc::clone(&worker), entrance, address, &place, Rc::clone(&state));
    let mut connection = open(&worker, (stream, early), requester, Rc::clone(&state));
    let leaving = async {
        worker.must_leave(&passage).await;
        let also_new = worker.is_stopping();
        Leave { last_head: if also_new { LAST_HEAD } else { LAST_HEAD_BY_A_SHUT_WAY }, also_new }
    };
    let driven = drive(&mut connection, &state, leaving).await;
    let parts = connection.into_parts();
    let (mut timed, early, service) = (parts.io, parts.read_buf, parts.service);
    if driven.is_err_and(|error| error.is_parse()) {
        timed.refuse_unparsed();
    }
    if let Some(takeover) = state.takeover.take() {
        let stream = timed.into_inner();
        if let Some(slot) = place.slot() {
            slot.set_busy();
        }
        let takeover = takeover.run(stream, early);
        worker.spawn(async move {
            takeover.await;
            drop(place);
        });
        return;
    }
    let unparsed = timed.refusal().map(|status| {
        let context = service.0.context();
        let (response, reason) = unparsed::respond(status, &early, &context);
        let client_ip = context.peer.address().map(tracing::field::display);
        info!(client_ip, status = status.as_u16(), reason, "bytes that are not a request");
        response
    });
    // A client that is slow to read the end must not keep its place.
    tokio::select! {
        biased;
        () = end(timed, unparsed, state.unread.get()) => {}
        () = place.makes_room() => {}
    }
}

/// Sends the rest: the response to bytes that are `unparsed`, and the end of the connection.
async fn end(mut timed: TimedStream, unparsed: Option<Bytes>, is_unread: bool) {
    let is_refused = unparsed.is_some();
    if let Some(response) = unparsed {
        // If the write fails, the client is gone and cannot be informed.
        let _ = timed.send_refusal(response).await;
    }
    let mut stream = timed.into_inner();
    if is_refused || is_unread {
        stream.close_lingering(LINGER).await;
    } else if stream.is_tls() {
        within(LINGER, poll_fn(|cx| stream.poll_close_write(cx))).await;
    }
}

/// Gives an accepted connection to hyper.
fn open(
    worker: &Rc<Worker>,
    (stream, early): (Stream, Bytes),
    requester: Requester,
    state: Rc<Exchange>,
) -> Connection {
    let shared = worker.context();
    stream.set_user_timeout(shared.proxy.send_timeout);
    let (limits, slot) = (Rc::clone(requester.limits()), requester.slot().cloned());
    let timed = TimedStream::new(stream, early, state, limits, slot, Rc::clone(&shared.scratch));
    Worker::http1(&shared.proxy).serve_connection(timed, PipelineService(requester))
}

/// Drives hyper until the connection is over. From `leaving` on, requests in flight are finished; a
/// half-received head is not a request yet and gets the time that `leaving` says.
async fn drive(
    connection: &mut Connection,
    state: &Exchange,
    leaving: impl Future<Output = Leave>,
) -> hyper::Result<()> {
    let leave = {
        tokio::pin!(leaving);
        let working = poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            biased;
            // First, what has arrived is read: hyper closes a connection that has not read anything yet.
            driven = working => return driven,
            leave = leaving => leave,
        }
    };
    let mut is_told = false;
    let working = poll_fn(|cx| {
        if !is_told && (leave.also_new || state.begun.get()) {
            is_told = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    });
    tokio::pin!(working);
    tokio::select! {
        biased;
        driven = &mut working => return driven,
        () = pause(leave.last_head) => {}
    }
    if state.turn.get() == Turn::Client { Ok(()) } else { working.await }
}

/// How a connection has to end.
struct Leave {
    /// How long the rest of a request head may take.
    last_head: Duration,
    /// A connection on which nothing has arrived yet ends at once.
    also_new: bool,
}

/// Passes the requests of one connection from hyper to the pipeline.
#[derive(Debug)]
struct PipelineService(Requester);

impl Service<Request<Incoming>> for PipelineService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        use http_body::Body;
        let context = self.0.context();
        if let Some(slot) = self.0.slot() {
            slot.set_busy();
        }
        context.state.turn.set(Turn::Proxy);
        context.state.unread.set(!request.body().is_end_stream());
        Box::pin(serve::serve(context, request))
    }
}
