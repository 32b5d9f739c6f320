//! Checks that a request is valid, and reads its source and the kind of its client.

pub(crate) mod admission;
pub(crate) mod browser;
mod canonical_path;
pub(crate) mod client_address;
pub(crate) mod host;
