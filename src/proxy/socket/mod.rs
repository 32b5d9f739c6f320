//! Sockets: listening and connected sockets, TLS to apps, and the state that a connection shares
//! with its request.
//!
//! The lowest level of the proxy: nothing in this folder depends on requests, apps or sessions.

pub(crate) mod alarm;
pub(crate) mod descriptors;
pub(crate) mod entrance;
pub(crate) mod exchange;
pub(crate) mod listen;
mod other_family;
pub(crate) mod overlap;
pub(crate) mod passage;
mod socket_file;
pub(crate) mod stop_stage;
pub(crate) mod stream;
pub(crate) mod tcp_info;
pub(crate) mod ways;
