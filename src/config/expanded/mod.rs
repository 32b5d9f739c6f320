//! The output of `appliance check --expanded`: the configuration as TOML, with every default and
//! preset written out and every secret masked.

mod app;
mod configuration;
pub(super) mod page;
mod policy;
mod value;
