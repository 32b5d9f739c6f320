//! One client connection from accept to the protocol that it speaks.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::handshake;
use super::http1;
use super::place::Place;
use super::worker::Worker;
use crate::proxy::socket::entrance::{Entrance, Speaks};
use crate::proxy::socket::listen::Accepted;
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::socket::stream::Stream;

/// Serves a client connection until it is closed.
pub(super) async fn serve(
    worker: Rc<Worker>,
    accepted: Accepted,
    speaks: Speaks,
    address: Option<SocketAddr>,
    place: Place,
) {
    let secured = enter(&worker, accepted, speaks, address, &place).await;
    let Some((stream, entrance)) = secured else { return };
    http1::connection::serve(worker, stream, entrance, address, place).await;
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
