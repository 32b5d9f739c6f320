//! Secrets: named in the file, never written in it.

use std::path::PathBuf;

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

/// A secret that cannot be had; the text names the source, never the value.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SecretError {
    /// `the variable OIDC_SECRET`, `the file /run/secrets/oidc`.
    pub what: String,
    /// What is wrong with it and what to do.
    pub why: String,
}

impl SecretSource {
    /// Reads it, or makes it when it is one that is generated and not there yet.
    pub fn resolve(&self, state_dir: &std::path::Path) -> Result<Secret, SecretError> {
        let (what, text) = match self {
            Self::Env(name) => {
                (format!("the variable {name}"), std::env::var(name).map_err(|e| e.to_string()))
            }
            Self::File(path) => (
                format!("the file {}", path.display()),
                std::fs::read_to_string(path).map_err(|e| e.to_string()),
            ),
            Self::Generate(name) => {
                let path = state_dir.join(name);
                (
                    format!("the file {}", path.display()),
                    std::fs::read_to_string(&path).map_err(|e| e.to_string()),
                )
            }
        };
        match text {
            Ok(text) => Ok(Secret::from(text.strip_suffix('\n').unwrap_or(&text).to_owned())),
            Err(why) => Err(SecretError { what, why }),
        }
    }
}
