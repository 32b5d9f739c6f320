//! Connections to apps: the pool, the sending of a request, and the bodies in both directions.

pub(crate) mod app_connection;
mod app_stream;
pub(crate) mod download;
pub(crate) mod forward;
mod head_limit;
pub(crate) mod lasting;
pub(crate) mod pool;
mod sent_head;
pub(crate) mod upload;
