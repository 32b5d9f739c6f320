//! The app's side of a request: connections to it, the request sent, the response received.

pub(crate) mod download;
mod early_answer;
pub(crate) mod forward;
pub(crate) mod link;
pub(crate) mod pool;
pub(crate) mod upload;
