//! The `http` probe: one `GET` on its own connection.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::connect::{connect, place, secure};
use super::question::{Tls, Verdict};
use crate::config::{Dial, Upstream};

/// How much of a response body is read at most, in bytes and in time.
const BODY: (usize, Duration) = (64 * 1024, Duration::from_millis(100));

pub(super) async fn http(at: &Upstream, path: &str, status: u16, tls: Tls) -> Verdict {
    let place = place(&at.dial);
    match answered(at, &place, path, tls).await {
        Ok(Some(answered)) if answered == status => Ok(()),
        Ok(Some(answered)) => Err(format!("{place}: GET {path} answered {answered}, not {status}")),
        Ok(None) => Err(format!("{place}: GET {path} was not answered in HTTP")),
        Err(error) => Err(format!("{place}: {error}")),
    }
}

async fn answered(at: &Upstream, place: &str, path: &str, tls: Tls) -> io::Result<Option<u16>> {
    let (host, port) = match &at.dial {
        Dial::Tcp(host, port) => (host, *port),
        Dial::Unix(socket) => {
            return Ok(get(UnixStream::connect(socket).await?, "localhost", path).await);
        }
    };
    let stream = connect(host, port).await?;
    let named = at.host.as_deref().unwrap_or(place);
    if at.tls {
        Ok(get(secure(stream, host, tls).await?, named, path).await)
    } else {
        Ok(get(stream, named, path).await)
    }
}

/// The status of a `GET`. Reads the beginning of the body, so that the app does not see its
/// connection reset.
async fn get<S>(stream: S, host: &str, path: &str) -> Option<u16>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = http::Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, "appliance-probe")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut connection = std::pin::pin!(connection);
    let answered = async {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let (mut body, mut read) = (answer.into_body(), 0);
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > BODY.0 {
                    break;
                }
            }
        };
        let _ = timeout(BODY.1, reading).await;
        Some(status)
    };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        biased;
        status = &mut answered => status,
        _ = &mut connection => answered.await,
    }
}
