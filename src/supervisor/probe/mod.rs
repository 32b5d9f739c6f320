//! Probes: whether an app is ready, and whether it still responds.

pub(crate) mod ask;
mod connect;
mod exec;
mod http;
pub(crate) mod notifier;
pub(crate) mod notify;
pub(crate) mod question;
