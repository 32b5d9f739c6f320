//! Client connections: the threads that accept them, and one connection from accept to close.

mod accept;
mod addresses;
pub(super) mod capacity;
mod connection;
mod handshake;
mod http1;
mod http2;
mod place;
mod preface;
mod requester;
pub(crate) mod running_proxy;
mod send_stall;
mod worker;
