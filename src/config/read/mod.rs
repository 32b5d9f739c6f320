//! From the text to the structs of [`file`](super::file).

mod complaint;
pub(crate) mod decode;
pub(crate) mod interpolate;
