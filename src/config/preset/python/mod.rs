//! The presets of Python frameworks: a data file for each, and one way to make their environments.

mod environment;
mod header_flags;
mod kind;
mod layer;
mod target;

pub(super) use environment::program;
pub(super) use kind::KINDS;
#[cfg(test)]
pub(super) use layer::SETUP;
pub(super) use layer::layer;
