//! Sockets: listening, connected, encrypted, and what a connection knows about its own state.
//!
//! The bottom of the proxy: nothing in this folder knows HTTP requests, apps or sessions.

pub(crate) mod alarm;
pub(crate) mod connection_state;
pub(crate) mod listen;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod tls_client;
