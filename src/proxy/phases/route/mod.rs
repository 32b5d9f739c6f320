//! Which app a request goes to, which policies it must meet, and whether the app can answer now.

pub(crate) mod neighbours;
pub(crate) mod readiness;
pub(crate) mod routes;
pub(crate) mod target;
pub(crate) mod terms;
