//! Cookies of the appliance, and how their values are sealed.

pub(crate) mod cookies;
pub(crate) mod seal;
