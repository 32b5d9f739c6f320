//! Rewrites headers: those of the request for the app, and those of the response for the client.

pub(crate) mod caching;
pub(crate) mod content_coding;
pub(crate) mod cookie_scope;
pub(crate) mod cookies;
pub(crate) mod hop_by_hop;
pub(crate) mod origin_wide;
pub(crate) mod own_location;
mod person_words;
pub(crate) mod rewrite;
pub(crate) mod spoofed_headers;
pub(crate) mod stripped_prefix;
pub(crate) mod token_handle;
pub(crate) mod trace_context;
