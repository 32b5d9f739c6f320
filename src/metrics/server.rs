//! Serves `/metrics`.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::page::page;
use super::sources::Sources;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// Connections at the same time; further ones wait. A client can thus use up no descriptors.
const CONNECTIONS: usize = 16;
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
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, client)) => {
                        let sources = Arc::clone(&sources);
                        tokio::spawn(async move {
                            let _ = timeout(LONGEST, connection(stream, client, sources)).await;
                            drop(place);
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

async fn connection(stream: TcpStream, client: SocketAddr, sources: Arc<Sources>) {
    let service = service_fn(|request| {
        let sources = Arc::clone(&sources);
        async move { Ok::<_, Infallible>(answer(request, client, &sources).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false);
    // The client has gone.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    sources: &Sources,
) -> Response<Full<Bytes>> {
    let (head, _) = request.into_parts();
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
    response
}
