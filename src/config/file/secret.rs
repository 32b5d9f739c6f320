//! Where a secret comes from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::TextOr;

/// Where a secret comes from; it is never written into this file. Exactly one key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table as `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`"
)]
pub(crate) struct SecretRef {
    /// A variable of the appliance's environment.
    pub(crate) env: Option<String>,
    /// A file; one trailing newline is dropped.
    pub(crate) file: Option<String>,
    /// Made once at random and kept under `state_dir`, by this name.
    pub(crate) generate: Option<String>,
}

impl SecretRef {
    /// How many sources are named; one is right.
    pub(crate) fn sources(&self) -> usize {
        [&self.env, &self.file, &self.generate].into_iter().flatten().count()
    }
}

/// Text that may be shown, or a secret.
pub(crate) type EnvValue = TextOr<SecretRef>;
