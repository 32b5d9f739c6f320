//! Login, sign-out and the endpoints around them.

pub(crate) mod attempt;
pub(crate) mod auth_request;
pub(crate) mod callback;
pub(crate) mod origins;
pub(crate) mod reply;
pub(crate) mod return_path;
pub(crate) mod sign_out;
pub(crate) mod used_attempts;
