//! How sessions get new tokens from the issuer: at a refresh, when they are restored after a
//! restart, and without a request while a tunnel is open.

mod grants;
mod refresh;
mod restore;
mod upkeep;

pub(crate) use grants::Grants;
pub(crate) use refresh::Refresher;
pub(crate) use restore::{Restored, Restorer};
pub(crate) use upkeep::Upkeep;
