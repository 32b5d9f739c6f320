//! Sources of secrets.

use super::context::{Check, absolute};
use crate::config::file::{self, Span};
use crate::config::grammar::is_variable_name;
use crate::config::model::SecretSource;

impl Check<'_, '_> {
    /// `None` if the source is refused.
    pub(super) fn secret(&mut self, file: &file::SecretRef, span: &Span) -> Option<SecretSource> {
        let file::SecretRef { env, file, generate } = file;
        let source = match (env, file, generate) {
            (Some(name), None, None) if is_variable_name(name) => SecretSource::Env(name.clone()),
            (None, Some(path), None) if !path.is_empty() => {
                SecretSource::File(absolute(self.dir, path))
            }
            (None, None, Some(name)) if is_file_name(name) => SecretSource::Generate(name.clone()),
            (Some(name), None, None) => {
                self.problems.error(
                    span,
                    format!("`{name}` is not a valid variable name; use letters, digits and `_`"),
                );
                return None;
            }
            (None, None, Some(name)) => {
                let message = format!("`{name}` is not a valid name for a generated secret");
                let help = "use letters, digits, `-`, `_` and `.`, for example `oidc-client`";
                self.problems.error_with_help(span, message, help);
                return None;
            }
            // A misspelt source has already been reported.
            (None, None, None) if self.problems.any_within(span) => return None,
            _ => {
                self.problems.error_with_help(
                    span,
                    "a secret needs exactly one source",
                    "write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`",
                );
                return None;
            }
        };
        Some(source)
    }
}

/// Whether the name stays inside `state_dir`. Names of the appliance's files there are refused by
/// [`Check::reserved_names`].
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
