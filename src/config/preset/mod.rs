//! Presets: small TOML files that expand to an app.
//!
//! A preset is a TOML file with the keys of an app. Its parameters are names in braces. Within a
//! longer string, a parameter is replaced by its text. As a whole string it may also be a list
//! (spliced into the surrounding list), a secret, or nothing (the key or element is omitted). The
//! preset is laid *under* the app's table: a key in the app's table wins, and `env` is merged by
//! name. The keys `exposed`, `hidden_paths`, `pages`, `open` and `programs` exist only in presets: they
//! limit which paths of the program are reachable from outside, and how.

pub(crate) mod context;
pub(crate) mod expand;
pub(crate) mod issuer;
mod keycloak;
mod keycloak_build;
mod keycloak_console;
mod keycloak_exposure;
mod keycloak_logout;
pub(crate) mod layer;
pub(crate) mod places;
mod python;
pub(crate) mod realm;
mod realm_content;
