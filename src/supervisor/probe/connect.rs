//! Connections of probes, and the probes that only connect.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::question::Verdict;
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
    connected.map_err(|error| format!("{}: {error}", at.dial))
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
    waited.await.map_err(|error: io::Error| format!("{}: {error}", at.dial))
}

/// Connects over TCP, as the proxy does.
pub(super) async fn connect(dial: &Dial) -> io::Result<TcpStream> {
    let stream = match dial {
        Dial::Tcp(host, port) => net::connect_to_name(host, *port).await?,
        Dial::Loopback(own) => net::connect(own.address()).await?,
        Dial::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    // Without a listener on a port of the ephemeral range, the kernel may choose the same port as
    // the local one and connect the socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
