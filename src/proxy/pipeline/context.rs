//! The state that the phases of a request work with: the resources of the worker thread, the
//! connection, and the results of earlier phases.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::watch;

use crate::config::Standing;
use crate::proxy::Proxy;
use crate::proxy::phases::admit::browser::PageFrame;
use crate::proxy::phases::admit::client_address::{Peer, RequestSource};
use crate::proxy::phases::record::RequestRecord;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::socket::entrance::Entrance;
use crate::proxy::socket::exchange::Exchange;
use crate::proxy::socket::passage::Passage;
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::upstream::pool::Pool;

/// The resources that all connections of one worker thread share.
#[derive(Debug, Clone)]
pub(crate) struct WorkerContext {
    /// The configured proxy: routes, policies and pages.
    pub proxy: Arc<Proxy>,
    /// Idle connections to apps.
    pub pool: Rc<Pool>,
    /// A read buffer. The bytes of one read are passed on before the next socket is read.
    pub scratch: Rc<RefCell<Vec<u8>>>,
    /// Changes when the appliance stops.
    pub stop: watch::Receiver<StopStage>,
}

/// The state that all requests of one client connection share.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionContext {
    /// The resources of the worker thread.
    pub worker: Rc<WorkerContext>,
    /// The state that the connection shares with its current request.
    pub state: Rc<Exchange>,
    /// The client at the other end of the connection.
    pub peer: Rc<Peer>,
    /// How the connection has come in.
    pub entrance: Rc<Entrance>,
    /// What becomes of the connections that have come in the same way.
    pub passage: Rc<Passage>,
    /// The connection is over the limit of connections.
    pub over_limit: bool,
}

impl ConnectionContext {
    /// Whether the browser uses https.
    pub(crate) fn is_secure(&self, source: &RequestSource) -> bool {
        *self.entrance != Entrance::Redirect && self.worker.proxy.is_secure(source)
    }

    /// The origin of an app as its clients see it.
    pub(super) fn origin<'p>(
        &'p self,
        source: &RequestSource,
        app: &RoutedApp,
        host: Option<&HeaderValue>,
    ) -> Cow<'p, str> {
        let host = host.and_then(|host| host.to_str().ok());
        match (&app.route.host, host) {
            (Some(_), Some(host)) => {
                let scheme = if self.is_secure(source) { "https" } else { "http" };
                format!("{scheme}://{host}").into()
            }
            _ => self.worker.proxy.public_origin().text.into(),
        }
    }
}

/// The state of one request. It is kept after the phases, for the response.
#[derive(Debug)]
pub(super) struct RequestContext {
    /// The access record of the request.
    pub record: Box<RequestRecord>,
    /// The client's address and protocol.
    pub source: RequestSource,
    /// A person reads the response: errors are HTML pages.
    pub page: bool,
    /// The languages that a person reads, for a page of the appliance: the app gets the headers.
    pub accept_language: Option<HeaderValue>,
    /// The frame in which a person reads the response.
    pub frame: PageFrame,
    /// A page that refreshes itself probably asks again.
    pub refresh: bool,
    /// `Set-Cookie` values for the response. They are also sent with an error: a renewed session
    /// must not be lost because its app is down.
    pub cookies: Vec<HeaderValue>,
}

impl RequestContext {
    /// The place that serves the request from now on: the chosen one, of which the request is in flight,
    /// or the app itself if it has only one.
    pub(super) fn serve_at(
        &mut self,
        chosen: Option<Arc<RoutedApp>>,
        app: Arc<RoutedApp>,
    ) -> Arc<RoutedApp> {
        let Some(place) = chosen else { return app };
        self.record.in_flight = place.standing().map(Standing::enter);
        place
    }
}
