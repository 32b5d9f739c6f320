//! Why sign-in cannot be set up at the start: a secret that is missing, a key, a folder or an
//! address that cannot be used.

/// The key of the state folder in `appliance.toml`: `[server] state_dir`.
pub(crate) const STATE_DIR: &[&str] = &["server", "state_dir"];

/// Sign-in cannot be set up with this configuration.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SetupError {
    /// The setting that causes the error, as a path of tables and key: `["oidc", "ca_file"]`.
    pub key: &'static [&'static str],
    reason: String,
}

impl SetupError {
    pub(crate) fn new(key: &'static [&'static str], reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}
