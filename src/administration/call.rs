//! One request to Keycloak over loopback. Nothing is sent over a connection that another program has
//! accepted: the first request carries the password of Keycloak's administrator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{Ends, ListenerCheck, ListenerFault};
use crate::net;

/// For the connection and the whole response. A machine that just starts is slow.
const LONGEST: Duration = Duration::from_secs(20);
/// Longest response, bytes.
const LARGEST: usize = 1 << 20;
/// How often a connection is made again after Keycloak has changed its listener.
const ATTEMPTS: u32 = 3;

/// Where Keycloak is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// Host and port of its public address.
    pub(super) host: HeaderValue,
    /// Whether the program behind a connection is Keycloak.
    pub(super) listener: Arc<dyn ListenerCheck>,
}

/// Sends a request and reads the whole response. The error is a text for people, without the request.
pub(super) async fn send(
    place: &Place,
    mut request: Request<String>,
) -> Result<Response<Bytes>, String> {
    request.headers_mut().insert(HOST, place.host.clone());
    let answered = async {
        let stream = connect(place).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let late = || Err(format!("no response within {} s", LONGEST.as_secs()));
    timeout(LONGEST, answered).await.unwrap_or_else(|_| late())
}

/// A connection that Keycloak has accepted.
async fn connect(place: &Place) -> Result<TcpStream, String> {
    let mut attempts = 0..ATTEMPTS;
    loop {
        let stream = net::connect(place.address).await.map_err(|error| error.to_string())?;
        let end = |end: std::io::Result<SocketAddr>| end.map_err(|error| error.to_string());
        let ends = Ends { local: end(stream.local_addr())?, peer: end(stream.peer_addr())? };
        match place.listener.check(ends).await {
            Ok(()) => return Ok(stream),
            Err(ListenerFault::Changed) if attempts.next().is_some() => {}
            Err(fault) => return Err(fault.to_string()),
        }
    }
}
