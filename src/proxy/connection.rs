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

use super::body::Answer;
use super::origin::Peer;
use super::seat::{Seat, Turn};
use super::stream::Stream;
use super::visit::{self, Visit};
use super::wire::{Limits, Wire};
use super::worker::{Stop, Worker};

/// When we stop: for a request head under way to arrive.
const LAST_HEAD: Duration = Duration::from_millis(500);
/// How long a client may take to read its last answer while it is still sending.
const LINGER: Duration = Duration::from_secs(2);

/// Serves a connection to its end. A tunnel that it becomes lives on in a task of its own, so
/// that what HTTP needed is given back.
pub(super) async fn serve(worker: Rc<Worker>, stream: Stream, address: Option<SocketAddr>) {
    let seat = Rc::new(Seat::new());
    let proxy = &worker.proxy;
    let limits = Limits { header: proxy.header_timeout, idle: proxy.idle_timeout };
    stream.expect_taken_within(proxy.body_timeout);
    let peer = Rc::new(Peer::new(address, &proxy.trusted));
    let client_ip = peer.address();
    let wire = Wire::new(stream, Rc::clone(&seat), limits, Rc::clone(&worker.scratch));
    let visit = Visit { worker: Rc::clone(&worker), seat: Rc::clone(&seat), peer };
    let mut connection = worker.http.serve_connection(wire, Pipeline(visit));
    let driven = drive(&mut connection, &seat, &worker).await;
    let parts = connection.into_parts();
    let (mut wire, early) = (parts.io, parts.read_buf);
    if driven.is_err_and(|error| error.is_parse()) {
        wire.refuse_unread();
    }
    if let Some(tunnel) = seat.tunnel.take() {
        let (stream, _) = wire.into_parts();
        worker.spawn(tunnel.run(stream, early));
        return;
    }
    // A failed write leaves nobody to tell.
    let _ = poll_fn(|cx| wire.poll_refusal(cx)).await;
    let (stream, refusal) = wire.into_parts();
    if let Some(status) = refusal {
        let client_ip = client_ip.map(tracing::field::display);
        info!(client_ip, status = status.as_u16(), "bytes that are no request");
    }
    if refusal.is_some() || seat.unread.get() {
        stream.linger(LINGER).await;
    }
}

/// Lets hyper work until the connection is over; when we stop, until what is in flight is done.
/// Half a head is not in flight: it gets a moment.
async fn drive(
    connection: &mut hyper::server::conn::http1::Connection<Wire, Pipeline>,
    seat: &Seat,
    worker: &Worker,
) -> hyper::Result<()> {
    let mut stop = worker.stop.clone();
    let stopping = async {
        let _ = stop.wait_for(|stop| *stop != Stop::No).await;
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
        () = tokio::time::sleep(LAST_HEAD) => {}
    }
    if seat.turn.get() == Turn::Client { Ok(()) } else { working.await }
}

/// hyper's way into the pipeline.
#[derive(Debug)]
struct Pipeline(Visit);

impl Service<Request<Incoming>> for Pipeline {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        use http_body::Body;
        let visit = self.0.clone();
        visit.seat.turn.set(Turn::Us);
        visit.seat.unread.set(!request.body().is_end_stream());
        Box::pin(visit::answer(visit, request))
    }
}
