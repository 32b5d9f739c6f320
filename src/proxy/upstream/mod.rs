//! Connections to apps: the pool, the sending of a request, and the bodies in both directions.

pub(crate) mod app_connection;
mod app_stream;
pub(crate) mod download;
pub(crate) mod forward;
pub(crate) mod pool;
pub(crate) mod upload;
