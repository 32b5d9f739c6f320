//! The appliance's own endpoints and pages, below `/oauth2/` and `/_appliance/`.

pub(crate) mod endpoints;
mod login;
mod operators;
pub(crate) mod portal;
mod probes;
pub(crate) mod serve;
mod style;
