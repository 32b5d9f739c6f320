//! Access tokens for the programs of apps: a small server on loopback, where an app that holds a WebSocket
//! gets the current access token of its session.
//!
//! ```text
//! server → answer
//! ```
//!
//! **Guarantees.** A token leaves only for a handle that the appliance has made for this app and a session
//! in force, and only while the app admits the person. No log line has a token or a handle.

mod answer;
mod server;

pub use server::Server;
