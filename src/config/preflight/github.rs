//! Groups that nobody can be in with `provider = "github"`.

use super::findings::Findings;
use super::realm::policies;
use crate::config::model::{Config, SignInProtocol};

impl Findings<'_> {
    /// Organisations and teams have names in lower case here, because letter case does not count at GitHub.
    /// `deny` does not regard letter case either.
    pub(super) fn github(&mut self, config: &Config) {
        let is_github = |oidc: &&crate::config::Oidc| oidc.protocol == SignInProtocol::GitHub;
        let Some(oidc) = config.oidc.as_ref().filter(is_github) else { return };
        // A claim of another name has groups of another kind.
        if oidc.groups_claim != "groups" {
            return;
        }
        for (key, access) in policies(config) {
            let key = if self.is_written(&key) { key } else { vec!["access", "default"] };
            for group in access.tables().iter().flat_map(|table| &table.groups) {
                let lower = group.to_lowercase();
                if lower != *group {
                    let message = format!("nobody is in the group `{group}`");
                    let help = format!(
                        "write `{lower}`: the organisations and teams of GitHub are in lower case here"
                    );
                    self.warn_at_text(&key, group, &message, &help);
                }
            }
        }
    }
}
