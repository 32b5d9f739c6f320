//! Passes the requests of an HTTP/2 connection from hyper to the pipeline.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::Service;

use super::body::StreamBody;
use super::room::ConnectionRoom;
use super::stream::Streams;
use crate::proxy::client::requester::Requester;
use crate::proxy::phases::admit::http2_head;
use crate::proxy::pipeline::context::ConnectionContext;
use crate::proxy::pipeline::serve;
use crate::proxy::socket::exchange::{Exchange, Turn};

/// Passes requests on.
#[derive(Debug)]
pub(super) struct StreamService {
    pub(super) requester: Requester,
    pub(super) streams: Rc<Streams>,
    pub(super) room: ConnectionRoom,
}

impl Service<Request<Incoming>> for StreamService {
    type Response = Response<StreamBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let exchange = Rc::new(Exchange::of_stream());
        exchange.turn.set(Turn::Proxy);
        exchange.unread.set(!request.body().is_end_stream());
        let mut context =
            ConnectionContext { state: Rc::clone(&exchange), ..self.requester.context() };
        let room = self.room.clone();
        let others = self.streams.open();
        let longest = self.requester.limits().get().send.alive;
        let stream = self.streams.begin(exchange, longest);
        http2_head::translate(&mut request);
        Box::pin(async move {
            let capacity = Arc::clone(&context.worker.proxy.capacity);
            let found = room.find(&capacity, others).await;
            context.over_limit |= found.is_none();
            let response = serve::serve(context, request).await?;
            // The request keeps its connection to the app, or its file, until its response has ended. A
            // response of the appliance needs none, however long the client takes for it.
            let found = found.filter(|_| response.body().needs_room());
            let body = |body| StreamBody::new(body, stream, found);
            Ok(response.map(body))
        })
    }
}
