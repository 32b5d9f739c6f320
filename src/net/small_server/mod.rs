//! A small server of HTTP/1.1 on a TCP address of its own, beside the proxy. It has few connections, each
//! carries one request, and no body of a request is read.

mod clients;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::warn;

use clients::Clients;

/// How long a client may take to send the head of its request.
const HEAD: Duration = Duration::from_secs(2);
/// How long one connection may last. It carries one request.
const LONGEST: Duration = Duration::from_secs(20);

/// The bound address.
#[derive(Debug)]
pub(crate) struct SmallServer(TcpListener);

impl SmallServer {
    /// Binds an address.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// The port of the address, also if the kernel has chosen it.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// Answers requests with `answer`, which gets the head of the request and the address of the client,
    /// until the future is dropped. `what` serves, for the log. Must be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be registered.
    pub(crate) fn serve<A, F>(
        self,
        what: &'static str,
        answer: A,
    ) -> io::Result<impl Future<Output = ()>>
    where
        A: Fn(Parts, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::from_std(self.0)?;
        let mut clients = Clients::default();
        Ok(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, client)) => {
                        let (answer, asked) = (answer.clone(), clients.room().await);
                        let serving = connection(stream, client, answer, Arc::clone(&asked));
                        clients.add(asked, async move {
                            let _ = timeout(LONGEST, serving).await;
                        });
                    }
                    // Usually out of descriptors: wait for some to be closed.
                    Err(error) => {
                        warn!(%error, what, "a small server cannot accept a connection");
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        })
    }
}

async fn connection<A, F>(stream: TcpStream, client: SocketAddr, answer: A, asked: Arc<AtomicBool>)
where
    A: Fn(Parts, SocketAddr) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let answering = answer(request.into_parts().0, client);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    // The client has gone.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
