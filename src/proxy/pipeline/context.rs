//! What the phases of a request work with: the thread's resources, its connection, and what
//! earlier phases found out.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::watch;

use crate::proxy::Proxy;
use crate::proxy::phases::admit::client_address::{Origin, Peer};
use crate::proxy::phases::record::Record;
use crate::proxy::socket::connection_state::ConnectionState;
use crate::proxy::socket::stop::Stop;
use crate::proxy::upstream::pool::Pool;

/// What all connections of one worker thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The front door: routes, policy, pages.
    pub proxy: Arc<Proxy>,
    /// Idle connections to apps.
    pub pool: Rc<Pool>,
    /// The buffer that sockets are read into before the bytes are passed on.
    pub scratch: Rc<RefCell<Vec<u8>>>,
    /// Changes when the appliance stops.
    pub stop: watch::Receiver<Stop>,
}

/// What all requests of one connection share.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub shared: Rc<Shared>,
    pub state: Rc<ConnectionState>,
    pub peer: Rc<Peer>,
}

/// What the phases find out about a request. It outlives them.
#[derive(Debug)]
pub(super) struct Course {
    pub record: Box<Record>,
    pub origin: Origin,
    /// A person reads the response: errors are HTML pages.
    pub page: bool,
    /// `Set-Cookie` values for the response, also when it is an error: a renewed session must not
    /// be lost because its app is down.
    pub cookies: Vec<HeaderValue>,
}
