//! The TLS handshake of a client connection.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tracing::info;

use crate::proxy::Proxy;
use crate::proxy::answer::raw_response::plain_http_response;
use crate::proxy::socket::alarm::within;
use crate::proxy::socket::entrance::{Entrance, Protocol};
use crate::proxy::socket::stream::Stream;
use crate::tls::{ACME_TLS, Front, HTTP2};

/// The first byte of a TLS record with a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// How long a client that speaks no TLS may take to read the response.
const LINGER: Duration = Duration::from_secs(2);

/// Secures a connection within `longest`. `None` if that failed, after the client and the log have been
/// told.
pub(super) async fn secure(
    stream: TcpStream,
    front: &Front,
    client_ip: Option<IpAddr>,
    proxy: &Proxy,
    longest: Duration,
) -> Option<(Stream, Entrance, Protocol)> {
    let client_ip = client_ip.map(tracing::field::display);
    match within(longest, handshake(stream, front)).await? {
        Outcome::Secured(secured) => Some(*secured),
        Outcome::Clear(stream) => {
            info!(client_ip, "a client speaks http on an address for https");
            answer_in_clear(stream, proxy).await;
            None
        }
        // The client has said nothing, such as a probe that only connects.
        Outcome::Failed(None) => None,
        Outcome::Failed(Some(error)) => {
            info!(client_ip, why = %error, "a tls handshake failed");
            None
        }
    }
}

enum Outcome {
    Secured(Box<(Stream, Entrance, Protocol)>),
    /// The client speaks no TLS.
    Clear(TcpStream),
    Failed(Option<io::Error>),
}

async fn handshake(stream: TcpStream, front: &Front) -> Outcome {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return Outcome::Failed(None),
        Ok(_) if first[0] != HANDSHAKE => return Outcome::Clear(stream),
        Ok(_) => {}
    }
    match TlsAcceptor::from(front.settings()).accept(stream).await {
        // The authority that checks a host has seen the certificate.
        Ok(mut secured) if secured.get_ref().1.alpn_protocol() == Some(ACME_TLS) => {
            let _ = secured.shutdown().await;
            Outcome::Failed(None)
        }
        Ok(secured) => {
            let session = secured.get_ref().1;
            let server_name = session.server_name().map(Into::into);
            let is_http2 = session.alpn_protocol() == Some(HTTP2);
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            let entrance = Entrance::Tls { server_name };
            Outcome::Secured(Box::new((Stream::tls(secured.into()), entrance, protocol)))
        }
        Err(error) => Outcome::Failed(Some(error)),
    }
}

/// A person who has typed `http://` with the port of https learns the right address.
async fn answer_in_clear(mut stream: TcpStream, proxy: &Proxy) {
    if stream.write_all(&plain_http_response(&proxy.public)).await.is_ok() {
        Stream::tcp(stream).close_lingering(LINGER).await;
    }
}
