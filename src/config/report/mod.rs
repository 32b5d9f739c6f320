//! Reports about a configuration: problems with their place and help, and masked secrets.

pub(crate) mod mask;
pub(crate) mod problem;
pub(crate) mod suggest;
mod user_part;
