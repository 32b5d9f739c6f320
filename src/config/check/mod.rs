//! Turns the structs of [`file`](super::file) into the checked model, and collects every problem.
//!
//! A check that finds a problem reports it and continues with a default, so that the following
//! checks have a value. The result is used only if there is no problem.

mod access;
mod app;
pub(crate) mod configuration;
mod context;
mod embed;
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
mod static_files;
mod upstream;

pub(crate) use identity::identity_header;
