//! [`file`](super::file) → the validated model, collecting every problem on the way.
//!
//! Each check reports what is wrong and goes on with a default, so that the next one has
//! something to look at; the result is only used when nothing was reported.

mod access;
mod app;
mod context;
mod identity;
mod life;
mod oidc;
mod order;
mod probe;
mod process;
mod route;
mod secret;
mod server;
mod session;
pub(crate) mod whole;
