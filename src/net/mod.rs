//! TCP connections of the appliance to apps, to the issuer and to upstreams; and small servers beside the
//! proxy.

mod connect;
mod exhaustion;
mod resolve;
mod secure;
mod small_server;

pub(crate) use connect::{connect, connect_to_name};
pub(crate) use exhaustion::is_exhaustion;
pub(crate) use secure::{secure, tls_fault};
pub(crate) use small_server::SmallServer;
