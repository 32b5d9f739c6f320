//! The headers that an app receives and the headers of its response that a client receives.

pub(crate) mod cookie_scope;
pub(crate) mod cookies;
pub(crate) mod hop_by_hop;
pub(crate) mod origin_wide;
pub(crate) mod rewrite;
pub(crate) mod spoofed_headers;
pub(crate) mod stripped_prefix;
