//! The app's side of a request: connections to it, the request sent, the response received.

pub(crate) mod download;
pub(crate) mod forward;
pub(crate) mod link;
mod outlet;
pub(crate) mod pool;
pub(crate) mod upload;
mod wire;
