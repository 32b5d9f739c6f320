//! Secrets: named in the file, never written in it.

use std::path::{Path, PathBuf};

/// A secret value. `Debug` and `Display` never show it.
pub type Secret = secrecy::SecretString;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `{ env = "X" }`: a variable of our own environment.
    Env(String),
    /// `{ file = "/run/secrets/x" }`: one trailing newline is dropped.
    File(PathBuf),
    /// `{ generate = "name" }`: made once, kept 0600 as `<state_dir>/<name>`.
    Generate(String),
}

impl SecretSource {
    /// The secret, read now; a generated one is made when it is not there yet.
    pub fn resolve(&self, _state_dir: &Path) -> Result<Secret, SecretError> {
        todo!()
    }
}

/// A secret that cannot be had; the text names the source, never the value.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SecretError {
    /// `the variable OIDC_SECRET`, `the file /run/secrets/oidc`.
    pub what: String,
    /// What is wrong with it and what to do.
    pub why: String,
}
