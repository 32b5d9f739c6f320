//! Texts with a grammar: durations, sizes, signals, names of headers, paths, addresses.
//!
//! Each function gives the value or one sentence that says what it should have been.

mod address;
mod name;
mod path;
pub(crate) mod placeholder;
mod quantity;

pub(crate) use address::{host, issuer, listen, network, origin, public_url, upstream};
pub(crate) use name::{claim, header, is_token, is_variable_name};
pub(crate) use path::{pattern, prefix};
pub(crate) use quantity::{duration, signal, size, umask};

/// A value, or why it is none.
pub(crate) type Parsed<T> = Result<T, String>;
