//! WebSockets: the handshake on both sides, and the tunnel that follows it.

pub(crate) mod close_reason;
mod frames;
pub(crate) mod handshake;
mod relay;
pub(crate) mod run;
pub(crate) mod websocket;
