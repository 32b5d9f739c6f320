//! Whether the bytes are a valid request, where it comes from, and what kind of client sent it.

pub(crate) mod admission;
pub(crate) mod browser;
pub(crate) mod client_address;
pub(crate) mod host;
pub(crate) mod path;
