//! Whether an app is ready or hangs: it is asked, or it says so by itself.

pub(crate) mod ask;
mod connect;
mod exec;
mod http;
pub(crate) mod notify;
pub(crate) mod question;
