//! All sessions in force, and what outlives a restart.

pub(crate) mod idle;
pub(crate) mod ledger;
pub(crate) mod sessions;
