//! Sources of secrets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::TextOr;

/// A secret is a table with exactly one of these keys. The file never contains the secret itself. A
/// missing source is an error of `appliance run`, not of `appliance check`, so that an image can be
/// checked where it is built.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`"
)]
pub(crate) struct SecretRef {
    /// Name of a variable in the appliance's environment.
    ///
    /// Type: string. Default: none. Example: `"OIDC_SECRET"`.
    pub(crate) env: Option<String>,
    /// File that contains the secret; one trailing newline is dropped.
    ///
    /// Type: path. Default: none. Example: `"/run/secrets/oidc"`.
    pub(crate) file: Option<String>,
    /// Name of a secret that is generated at the first start and kept as a file of this name in
    /// `state_dir`, with mode 0600. Two places with the same name have the same secret. The names of
    /// the appliance's own files are reserved, and names that begin with `oidc-` are for `[oidc]` and
    /// the app that is the issuer.
    ///
    /// Type: string. Default: none. Example: `"app1-secret"`.
    pub(crate) generate: Option<String>,
}

impl SecretRef {
    /// Number of sources that are set; exactly one is valid.
    pub(crate) fn sources(&self) -> usize {
        [&self.env, &self.file, &self.generate].into_iter().flatten().count()
    }
}

/// A plain text, or a secret.
pub(crate) type EnvValue = TextOr<SecretRef>;
