//! Serves `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::page::page;
use super::sources::Sources;
use crate::net::SmallServer;
use crate::proxy::Proxy;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The bound address.
#[derive(Debug)]
pub struct Server(SmallServer);

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        SmallServer::bind(address).map(Self)
    }

    /// Answers requests until it is dropped. Must be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be registered.
    pub fn serve(self, sources: Sources) -> io::Result<impl Future<Output = ()>> {
        let sources = Arc::new(sources);
        self.0.serve("metrics", move |head, client| {
            let sources = Arc::clone(&sources);
            async move { answer(&head, client, &sources).await }
        })
    }
}

async fn answer(head: &Parts, client: SocketAddr, sources: &Sources) -> Response<Full<Bytes>> {
    if !Proxy::names_one_host(head) {
        return text(StatusCode::BAD_REQUEST, "one valid Host\n".into());
    }
    let Some(cookies) = sources.door.proxy().shows_state_to(client, head).await else {
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
