//! How sessions stay in step with the issuer.

pub(crate) mod refresh;
pub(crate) mod restore;
