//! Checks that a request is valid, and reads its source and the kind of its client.

pub(crate) mod admission;
pub(crate) mod browser;
pub(crate) mod client_address;
pub(crate) mod host;
pub(crate) mod http2_head;
pub(crate) mod lenient;
pub(crate) mod oversized;
pub(crate) mod path;
pub(crate) mod rate;
pub(crate) mod readings;
