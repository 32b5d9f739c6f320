//! Presets: a few lines of data that become an app.
//!
//! A preset is a TOML file with the keys of an app. Its own parameters stand in braces: in a
//! longer string they are replaced, alone they may also be a list (which is spliced into the list
//! around it), a secret, or nothing (then the key or element is left out). The result is laid
//! *under* the app's table: every key that the app has itself wins, `env` is merged by name.
//! `exposed`, `hidden_paths`, `pages`, `open` and `programs` are no keys of an app: they are the part
//! of a preset that decides what of the program may be reached from outside, and how.

pub(crate) mod expand;
pub(crate) mod frame;
pub(crate) mod keycloak;
pub(crate) mod layer;
pub(crate) mod realm;
mod streamlit;
