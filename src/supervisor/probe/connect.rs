//! Connections of probes, and the probes that only connect.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::question::{Tls, Verdict};
use crate::config::{Dial, Upstream};
use crate::net;
use crate::supervisor::port::listeners::{has_waiting_connections, is_visible};

/// Pause between two looks at the connections that wait for the app.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn tcp(at: &Upstream) -> Verdict {
    let connected = match &at.dial {
        Dial::Unix(socket) => socket.connect().await.map(drop),
        dial => connect(dial).await.map(drop),
    };
    connected.map_err(|error| format!("{}: {error}", place(&at.dial)))
}

/// Connects, and waits until the app has accepted the connection. The kernel completes a connection
/// before that.
pub(super) async fn accepted(at: &Upstream) -> Verdict {
    if matches!(at.dial, Dial::Unix(_)) {
        return tcp(at).await;
    }
    let waited = async {
        let stream = connect(&at.dial).await?;
        let address = stream.peer_addr()?;
        let mut waited = false;
        loop {
            match has_waiting_connections(address) {
                Some(true) => waited = true,
                // The program has closed the port, and with it a connection that it had not accepted.
                // One that listens for moments only is not the app.
                None if waited || is_visible(address) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Some(false) | None => return Ok(()),
            }
            sleep(ACCEPT_PAUSE).await;
        }
    };
    waited.await.map_err(|error: io::Error| format!("{}: {error}", place(&at.dial)))
}

/// An address as people and `Host` headers write it.
pub(super) fn place(dial: &Dial) -> String {
    match dial {
        Dial::Loopback(own) => own.address().to_string(),
        Dial::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Dial::Tcp(host, port) => format!("{host}:{port}"),
        Dial::Unix(socket) => socket.path().display().to_string(),
    }
}

pub(super) async fn secure(
    stream: TcpStream,
    host: &str,
    tls: Tls,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tls().map_err(|why| io::Error::other(why.as_str()))?;
    TlsConnector::from(config).connect(name, stream).await
}

/// Connects over TCP, as the proxy does.
pub(super) async fn connect(dial: &Dial) -> io::Result<TcpStream> {
    match dial {
        Dial::Tcp(host, port) => connect_to((host.as_str(), *port)).await,
        Dial::Loopback(own) => connect_to(own.address()).await,
        Dial::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn connect_to(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = net::connect(address).await?;
    // Without a listener on a port of the ephemeral range, the kernel may choose the same port as
    // the local one and connect the socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_in_a_url() {
        for (host, written) in [("localhost", "localhost:80"), ("::1", "[::1]:80")] {
            assert_eq!(place(&Dial::Tcp(host.into(), 80)), written);
        }
    }
}
