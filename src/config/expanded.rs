//! `appliance check --expanded`: what will run, as TOML, without a secret in it.
