//! Calls to an issuer that is one of the appliance's own apps: each over a connection of its own, and
//! nothing is sent over a connection that another program has accepted.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::http_error::{HttpError, MAX_BODY};
use super::own_app::OwnApp;
use crate::config::ownership::app_socket::UnixSocket;
use crate::config::{Ends, ListenerFault};
use crate::net;

/// How often a connection is made again after the app has changed its listener.
const ATTEMPTS: u32 = 3;

/// Sends a request to the socket, or to the address in its URI, and reads the whole response.
pub(super) async fn send(
    request: Request<Vec<u8>>,
    socket: Option<&UnixSocket>,
    app: &OwnApp,
    longest: Duration,
) -> Result<Response<Vec<u8>>, HttpError> {
    let late = || HttpError::NoAnswer(format!("no response within {} s", longest.as_secs()));
    let answered = async {
        if let Some(socket) = socket {
            let stream = socket.connect().await.map_err(no_answer)?;
            return exchange(request, stream).await;
        }
        let stream = connect(request.uri(), app).await?;
        exchange(request, stream).await
    };
    timeout(longest, answered).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange(
    request: Request<Vec<u8>>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Response<Vec<u8>>, HttpError> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map(Uri::from).unwrap_or_default();
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::from_parts(head, Full::new(Bytes::from(body)));
    let (head, body) = sender.send_request(request).await.map_err(no_answer)?.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            HttpError::TooLarge
        } else {
            HttpError::NoAnswer(error.to_string())
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes().into()))
}

/// A connection that the app has accepted.
async fn connect(uri: &Uri, app: &OwnApp) -> Result<TcpStream, HttpError> {
    let address = uri.authority().map(ToString::to_string).unwrap_or_default();
    let mut attempts = 0..ATTEMPTS;
    loop {
        let stream = net::connect(&address).await.map_err(no_answer)?;
        let ends = Ends {
            local: stream.local_addr().map_err(no_answer)?,
            peer: stream.peer_addr().map_err(no_answer)?,
        };
        match app.check_connection(ends).await {
            Ok(()) => return Ok(stream),
            Err(ListenerFault::Changed) if attempts.next().is_some() => {}
            Err(fault) => return Err(no_answer(fault)),
        }
    }
}

fn no_answer(error: impl std::fmt::Display) -> HttpError {
    HttpError::NoAnswer(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::BoxFuture;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::*;
    use crate::config::{AppName, ListenerCheck, Phase};

    #[derive(Debug)]
    struct Says(Result<(), ListenerFault>, std::net::SocketAddr);

    impl ListenerCheck for Says {
        fn check(&self, ends: Ends) -> BoxFuture<'static, Result<(), ListenerFault>> {
            assert_eq!(ends.peer, self.1, "both ends are known");
            Box::pin(std::future::ready(self.0.clone()))
        }
    }

    async fn asked(said: Option<Result<(), ListenerFault>>) -> (bool, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = tokio::spawn(async move {
            let mut total = 0;
            while let Ok(Ok((mut stream, _))) =
                timeout(Duration::from_millis(100), listener.accept()).await
            {
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                total += count;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
            }
            total
        });
        let app = OwnApp::new(AppName::new("idp"));
        let check = said.map(|said| Arc::new(Says(said, address)) as Arc<dyn ListenerCheck>);
        app.follow(watch::channel(Phase::Ready).1, check);
        let request = Request::post(format!("http://{address}/token"));
        let request = request.body(b"secret".to_vec()).unwrap();
        let answer = send(request, None, &app, Duration::from_secs(2)).await;
        let body = answer.map(Response::into_body);
        (body.is_ok_and(|body| body == b"hi"), received.await.unwrap())
    }

    #[tokio::test]
    async fn nothing_is_sent_over_a_connection_of_another_program() {
        for said in [None, Some(Ok(()))] {
            let (answered, received) = asked(said).await;
            assert!(answered && received > 0);
        }
        for fault in [ListenerFault::Changed, ListenerFault::Foreign("held by x".into())] {
            assert_eq!(asked(Some(Err(fault))).await, (false, 0));
        }
    }
}
