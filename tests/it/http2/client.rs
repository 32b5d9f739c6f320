//! A client of HTTP/2.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::Appliance;

/// One connection. The requests of its clones share it.
#[derive(Clone)]
pub struct Client {
    pub send: SendRequest<Bytes>,
    /// Scheme and authority.
    pub origin: String,
}

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the test app has received.
    pub fn seen(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Whether a connection is over, and how it ended.
pub type Ended = JoinHandle<Result<(), h2::Error>>;

impl Client {
    /// Connects without TLS.
    pub async fn connect(appliance: &Appliance) -> (Self, Ended) {
        let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
        Self::over(socket, &appliance.url).await
    }

    pub async fn over<S>(socket: S, origin: &str) -> (Self, Ended)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // As browsers do: a stream that is not read leaves room for the others.
        let mut settings = h2::client::Builder::new();
        settings.initial_connection_window_size(4 << 20);
        let (send, connection) = settings.handshake(socket).await.unwrap();
        (Self { send, origin: origin.to_owned() }, tokio::spawn(connection))
    }

    pub fn request(&self, method: Method, path: &str, lines: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// Begins a request whose body follows.
    pub async fn begin(&self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request, false).unwrap()
    }

    /// Sends a request without a body, and returns the head of the response.
    pub async fn head(
        &self,
        request: Request<()>,
    ) -> Result<http::Response<RecvStream>, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        send.send_request(request, true)?.0.await
    }

    pub async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        whole(self.head(request).await?).await
    }

    pub async fn get(&self, path: &str, lines: &[(&str, &str)]) -> Answer {
        self.ask(self.request(Method::GET, path, lines)).await.unwrap()
    }

    pub async fn post(&self, path: &str, lines: &[(&str, &str)], body: &[u8]) -> Answer {
        let (response, mut stream) = self.begin(self.request(Method::POST, path, lines)).await;
        stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
        whole(response.await.unwrap()).await.unwrap()
    }
}

/// Reads a response to its end.
pub async fn whole(response: http::Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Answer { status: head.status, headers: head.headers, body: body.into(), trailers })
}
