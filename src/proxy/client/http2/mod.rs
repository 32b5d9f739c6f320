//! HTTP/2 with a client: many requests at the same time, each of which goes through the same pipeline as one
//! of HTTP/1.
//!
//! ```text
//! connection → service → body → piece → stream
//!      └─────→ socket → frames, toll
//! ```
//!
//! hyper and h2 speak the protocol and limit streams, resets, header blocks and small frames of data. This
//! folder adds what they leave out: the time limits, a toll on frames that carry nothing, and an end for
//! responses that a client does not take.

mod body;
pub(super) mod connection;
mod frames;
mod piece;
mod room;
mod service;
mod socket;
mod stream;
mod toll;
