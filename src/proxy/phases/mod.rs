//! The phases of a request: admit, route, access, headers; and the record of it at the end.
//!
//! A phase is a plain function: it gets the request's head and returns a decision or a
//! [`Refusal`](crate::proxy::answer::refusal::Refusal). `pipeline/order.rs` puts them in order.

pub(crate) mod access;
pub(crate) mod admit;
pub(crate) mod headers;
pub(crate) mod record;
pub(crate) mod route;
