//! Connections of a proxy that names its clients in a header (`[server] proxy_protocol`): reads the header
//! before anything else, and counts the connection as one of the client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tracing::warn;

use super::place::{Client, ClientAddress, Place};
use super::proxy_header::{
    Announced, FIXED, Fault, LONGEST_LINE, SHORTEST, Version, read_binary, read_line, rest_length,
    version,
};
use super::worker::Worker;
use crate::proxy::Proxy;
use crate::proxy::phases::admit::client_address::is_trusted;
use crate::proxy::socket::alarm::within;
use crate::telemetry::Throttle;

/// Whether a peer must name its clients.
pub(super) fn is_expected(proxy: &Proxy, peer: Option<IpAddr>) -> bool {
    proxy.unannounced.is_some() && peer.is_some_and(|ip| is_trusted(ip, &proxy.trusted))
}

/// Reads the header. `None` if the connection is over, after the log was told why.
pub(super) async fn receive(
    worker: &Worker,
    stream: &mut TcpStream,
    client: Client,
) -> Option<Client> {
    let proxy = Arc::clone(&worker.context().proxy);
    let longest = client.place.longest(proxy.header_timeout);
    let received = tokio::select! {
        received = within(longest, read(stream)) => received.unwrap_or(Err(Fault::Late)),
        () = client.place.must_close(&worker.stop) => return None,
    };
    match received {
        Ok(Some(announced)) => count_for_client(client, announced, &proxy).await,
        // A health check that only connects.
        Ok(None) => None,
        Err(why) => {
            let peer = client.address.ip().map(|ip| ip.to_string());
            let cause = peer.unwrap_or_default();
            let noted = |log: &Arc<Throttle>| log.note(&cause, Instant::now());
            if let Some(left_out) = proxy.unannounced.as_ref().and_then(noted) {
                warn!(
                    proxy_ip = cause, %why, left_out,
                    "closing a connection of a proxy in trusted_proxies: switch the PROXY protocol on there, or proxy_protocol off here; see docs/behind-a-proxy.md"
                );
            }
            None
        }
    }
}

/// Counts the connection for the client instead of the proxy.
async fn count_for_client(
    client: Client,
    announced: Announced,
    proxy: &Arc<Proxy>,
) -> Option<Client> {
    let Client { address, place, at, .. } = client;
    let address = match announced {
        Announced::Client(client) => ClientAddress { at: Some(client), is_relayed: true },
        Announced::Proxy => address,
    };
    let place = match place {
        Place::Refusal { .. } => place,
        Place::Slot(slot) => match proxy.capacity.name(&slot, address.ip()).await {
            Ok(()) => Place::Slot(slot),
            Err(refused) => Place::of(refused)?,
        },
    };
    Some(Client { address, is_announced: false, place, at })
}

/// Reads exactly the header: what follows belongs to TLS or HTTP. `None` if there is not one byte.
async fn read(stream: &mut TcpStream) -> Result<Option<Announced>, Fault> {
    let mut first = [0; SHORTEST];
    let mut filled = 0;
    let mut known = None;
    while filled < SHORTEST {
        match stream.read(&mut first[filled..]).await {
            Ok(0) | Err(_) if filled == 0 => return Ok(None),
            Ok(0) | Err(_) => return Err(Fault::Invalid),
            Ok(count) => filled += count,
        }
        known = version(&first[..filled])?;
    }
    match known.ok_or(Fault::Missing)? {
        Version::One => read_rest_of_line(stream, &first).await,
        Version::Two => read_rest_of_binary(stream, &first).await,
    }
    .map(Some)
}

async fn read_rest_of_line(
    stream: &mut TcpStream,
    first: &[u8; SHORTEST],
) -> Result<Announced, Fault> {
    let mut line = [0; LONGEST_LINE];
    line[..SHORTEST].copy_from_slice(first);
    let mut filled = SHORTEST;
    loop {
        if filled == LONGEST_LINE {
            return Err(Fault::TooLong);
        }
        let seen = stream.peek(&mut line[filled..]).await.unwrap_or(0);
        let end = line[filled..filled + seen].iter().position(|&byte| byte == b'\n');
        let own = end.map_or(seen, |end| end + 1);
        let read = stream.read_exact(&mut line[filled..filled + own]).await;
        if own == 0 || read.is_err() {
            return Err(Fault::Invalid);
        }
        filled += own;
        if end.is_some() {
            return read_line(&line[..filled]);
        }
    }
}

async fn read_rest_of_binary(
    stream: &mut TcpStream,
    first: &[u8; SHORTEST],
) -> Result<Announced, Fault> {
    let mut fixed = [0; FIXED];
    fixed[..SHORTEST].copy_from_slice(first);
    stream.read_exact(&mut fixed[SHORTEST..]).await.map_err(|_| Fault::Invalid)?;
    let mut rest = vec![0; rest_length(&fixed)?];
    stream.read_exact(&mut rest).await.map_err(|_| Fault::Invalid)?;
    read_binary(&fixed, &rest)
}
