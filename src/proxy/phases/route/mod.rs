//! Finds the app of a request and the policies that the request must meet, and checks that the app can
//! respond now.

pub(crate) mod hold;
pub(crate) mod in_force;
pub(crate) mod neighbours;
pub(crate) mod people;
pub(crate) mod places;
pub(crate) mod public_address;
pub(crate) mod raw_path;
pub(crate) mod readiness;
pub(crate) mod requirements;
pub(crate) mod routed_app;
pub(crate) mod routes;
pub(crate) mod second_path;
pub(crate) mod several;
pub(crate) mod traffic;
pub(crate) mod trailing_slash;
pub(crate) mod wake;
