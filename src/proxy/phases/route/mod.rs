//! Which app a request goes to, and whether the app can answer now.

pub(crate) mod readiness;
pub(crate) mod routes;
pub(crate) mod target;
