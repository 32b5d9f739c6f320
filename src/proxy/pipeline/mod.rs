//! One request from its head to the last byte of its response: the order of the phases, the state
//! of a request, and its response body.

pub(crate) mod context;
pub(in crate::proxy) mod destination;
mod granted;
mod log_body;
mod own_endpoint;
mod permit;
mod phase_order;
pub(crate) mod response_body;
mod send_again;
pub(crate) mod serve;
mod shortcuts;
mod site;
