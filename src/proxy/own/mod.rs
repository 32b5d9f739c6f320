//! The endpoints and pages of the appliance, below `/oauth2/` and `/_appliance/`.

pub(super) mod app_token;
pub(super) mod assets;
pub(crate) mod authority;
mod browser_name;
pub(super) mod console;
mod embed;
pub(crate) mod endpoints;
pub(in crate::proxy) mod first_administrator;
mod login;
pub(super) mod operators;
mod outlook;
pub(crate) mod portal;
mod probes;
pub(crate) mod resource;
pub(crate) mod serve;
mod session_paths;
mod sessions;
