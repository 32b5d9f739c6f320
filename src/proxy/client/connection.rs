//! One client connection from accept to the protocol that it speaks.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::announced;
use super::handshake;
use super::http1;
use super::http2;
use super::place::Client;
use super::preface;
use super::worker::Worker;
use crate::proxy::socket::alarm::within;
use crate::proxy::socket::entrance::{Entrance, Protocol, Speaks};
use crate::proxy::socket::listen::Accepted;
use crate::proxy::socket::stream::Stream;

/// Serves a client connection until it is closed.
pub(super) async fn serve(
    worker: Rc<Worker>,
    mut accepted: Accepted,
    speaks: Speaks,
    client: Client,
) {
    let Some(client) = named(&worker, &mut accepted, client).await else { return };
    let secured = enter(&worker, accepted, speaks, &client).await;
    let Some((mut stream, entrance, protocol)) = secured else { return };
    let mut early = Bytes::new();
    let mut protocol = protocol;
    if entrance == Entrance::Clear && worker.context().proxy.ways.h2c {
        let Some(detected) = detect(&worker, &mut stream, &client).await else { return };
        (protocol, early) = detected;
    }
    match protocol {
        Protocol::Http1 => http1::connection::serve(worker, stream, early, entrance, client).await,
        // Boxed: the future would enlarge that of every connection of HTTP/1.
        Protocol::Http2 => {
            Box::pin(http2::connection::serve(worker, stream, early, entrance, client)).await;
        }
    }
}

/// The client that a proxy names, if it has to. `None` if the connection is over.
async fn named(worker: &Worker, accepted: &mut Accepted, client: Client) -> Option<Client> {
    match accepted {
        Accepted::Tcp(tcp) if client.is_announced => {
            // Boxed: the future would enlarge that of every connection.
            Box::pin(announced::receive(worker, tcp, client)).await
        }
        Accepted::Tcp(_) | Accepted::Unix(_) => Some(client),
    }
}

/// Completes the TLS handshake where the address speaks TLS, and finds out the protocol. `None` if the
/// connection is over.
async fn enter(
    worker: &Worker,
    accepted: Accepted,
    speaks: Speaks,
    client: &Client,
) -> Option<(Stream, Entrance, Protocol)> {
    let clear = |stream, entrance| Some((stream, entrance, Protocol::Http1));
    let tcp = match accepted {
        Accepted::Tcp(tcp) => tcp,
        Accepted::Unix(unix) => return clear(Stream::unix(unix), Entrance::Clear),
    };
    let proxy = Arc::clone(&worker.context().proxy);
    let front = match (speaks, &proxy.tls) {
        (Speaks::Redirects, _) => return clear(Stream::tcp(tcp), Entrance::Redirect),
        (Speaks::Http, Some(front)) => front,
        (Speaks::Http, None) => return clear(Stream::tcp(tcp), Entrance::Clear),
    };
    let client_ip = client.address.ip();
    let longest = client.place.longest(proxy.header_timeout);
    // Boxed: the future would enlarge that of every connection without TLS, and of every one after its
    // handshake.
    let securing = Box::pin(handshake::secure(tcp, front, client_ip, &proxy, longest));
    tokio::select! {
        secured = securing => secured,
        () = client.place.must_close(&worker.stop) => None,
    }
}

/// Waits for the first bytes of a client without TLS, and finds out its protocol. `None` if the connection is
/// over.
async fn detect(
    worker: &Worker,
    stream: &mut Stream,
    client: &Client,
) -> Option<(Protocol, Bytes)> {
    let longest = client.place.longest(worker.context().proxy.header_timeout);
    tokio::select! {
        detected = within(longest, preface::detect(stream)) => detected.flatten(),
        () = client.place.must_close(&worker.stop) => None,
    }
}
