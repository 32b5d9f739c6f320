//! `appliance check --expanded`: what will run, as TOML with every default and preset written
//! out, and without a secret in it.

mod app;
mod page;
mod value;
mod whole;
