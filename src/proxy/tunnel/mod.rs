//! WebSockets: the handshake on both sides, and the tunnel that follows it.

pub(crate) mod ending;
mod frames;
pub(crate) mod handshake;
mod pump;
pub(crate) mod run;
pub(crate) mod websocket;
