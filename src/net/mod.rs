//! TCP connections of the appliance to apps, to the issuer and to upstreams.

mod connect;

pub(crate) use connect::connect;
