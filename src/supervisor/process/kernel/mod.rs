//! The kernel as the reaper sees it: the calls that make, signal, reap and find processes.
//!
//! ```text
//! linux → calls, fork_watch
//! peer
//! ```
//!
//! The tests simulate a kernel behind the same calls, so that the supervisor meets every order of
//! events.

pub(crate) mod calls;
mod fork_watch;
pub(crate) mod linux;
pub(crate) mod peer;
