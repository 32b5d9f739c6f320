//! Finds the app for a request and checks whether the app is ready.

pub(crate) mod readiness;
pub(crate) mod routed_app;
pub(crate) mod routes;
