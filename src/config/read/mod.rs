//! Reads the text of a file into the structs of [`file`](super::file).

mod complaint;
pub(crate) mod decode;
pub(crate) mod interpolate;
