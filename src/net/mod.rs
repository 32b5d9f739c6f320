//! TCP connections of the appliance to apps, to the issuer and to upstreams.

mod connect;
mod secure;

pub(crate) use connect::connect;
pub(crate) use secure::{secure, tls_fault};
