//! What is said about a configuration: problems with their place, help, and nothing secret.

pub(crate) mod mask;
pub(crate) mod problem;
pub(crate) mod suggest;
