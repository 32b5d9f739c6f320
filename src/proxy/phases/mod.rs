//! The phases of a request: admit, route, access, headers; and the access record at its end.
//!
//! A phase is a plain function: it gets the request's head and returns a decision or a
//! [`Refusal`](crate::proxy::answer::refusal::Refusal). `pipeline/phase_order.rs` calls the phases in
//! order.

pub(crate) mod access;
pub(crate) mod admit;
pub(crate) mod detached;
pub(crate) mod headers;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod route;
