//! One request from its head to the last byte of its response: the order of the phases and the
//! guarantees around them.

pub(crate) mod body;
pub(crate) mod context;
mod order;
pub(crate) mod serve;
