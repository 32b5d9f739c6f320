//! The keys with which the issuer signs: how they are fetched, and when they are fetched again.

mod fetches;
mod renewal;

pub(super) use fetches::{KeyFetches, Source, fetch};
