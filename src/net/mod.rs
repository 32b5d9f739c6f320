//! TCP connections of the appliance to apps, to the issuer and to upstreams.

mod connect;
mod exhaustion;
mod resolve;
mod secure;

pub(crate) use connect::{connect, connect_to_name};
pub(crate) use exhaustion::is_exhaustion;
pub(crate) use secure::{secure, tls_fault};
