//! Sessions: their cookie, their store and their renewal.

pub(crate) mod live;
pub(crate) mod renewal;
pub(crate) mod store;
pub(crate) mod ticket;
