//! HTTP/1 with a client: one request after the other, and what follows the last one.

pub(super) mod connection;
mod timed_stream;
mod unparsed;
