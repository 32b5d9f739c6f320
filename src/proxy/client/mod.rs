//! Client connections: the threads that accept them, and one connection from accept to close.

mod accept;
mod addresses;
mod announced;
pub(super) mod capacity;
mod connection;
mod handshake;
mod http1;
mod http2;
mod place;
mod preface;
mod proxy_header;
mod requester;
pub(crate) mod running_proxy;
mod send_stall;
mod worker;
