//! Serves `/metrics`.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::clients::Clients;
use super::page::page;
use super::sources::Sources;
use crate::proxy::Proxy;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// How long a client may take to send the head of its request.
const HEAD: Duration = Duration::from_secs(2);
/// How long one connection may last. It carries one request.
const LONGEST: Duration = Duration::from_secs(20);

/// The bound address.
#[derive(Debug)]
pub struct Server(TcpListener);

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Answers requests until it is dropped. Must be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be registered.
    pub fn serve(self, sources: Sources) -> io::Result<impl Future<Output = ()>> {
        let listener = tokio::net::TcpListener::from_std(self.0)?;
        let sources = Arc::new(sources);
        let mut clients = Clients::default();
        Ok(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, client)) => {
                        let (sources, asked) = (Arc::clone(&sources), clients.room().await);
                        clients.add(asked.clone(), async move {
                            let serving = connection(stream, client, sources, asked);
                            let _ = timeout(LONGEST, serving).await;
                        });
                    }
                    // Usually out of descriptors: wait for some to be closed.
                    Err(error) => {
                        warn!(%error, "the metrics cannot accept a connection");
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        })
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    sources: Arc<Sources>,
    asked: Arc<AtomicBool>,
) {
    let service = service_fn(|request| {
        let sources = Arc::clone(&sources);
        asked.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(answer(request, client, &sources).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    // The client has gone.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    sources: &Sources,
) -> Response<Full<Bytes>> {
    let (head, _) = request.into_parts();
    if !Proxy::names_one_host(&head) {
        return text(StatusCode::BAD_REQUEST, "one valid Host\n".into());
    }
    let Some(cookies) = sources.door.proxy().shows_state_to(client, &head).await else {
        return text(
            StatusCode::FORBIDDEN,
            "only for clients on this machine and for operators\n".into(),
        );
    };
    let mut response = if head.uri.path() != "/metrics" {
        text(StatusCode::NOT_FOUND, "the numbers are at /metrics\n".into())
    } else if head.method != Method::GET && head.method != Method::HEAD {
        text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".into())
    } else {
        match page(sources.gather().await) {
            Ok(page) => text(StatusCode::OK, page),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    };
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
