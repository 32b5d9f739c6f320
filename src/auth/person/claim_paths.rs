//! Where in the claims the parts of a person are.

use std::sync::Arc;

use serde_json::Value;

use super::claims;
use crate::config::Oidc;

/// The dotted claim paths of `[oidc]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClaimPaths {
    pub(super) user: String,
    pub(super) email: String,
    pub(super) groups: String,
    pub(super) roles: String,
}

impl ClaimPaths {
    pub(crate) fn new(oidc: &Oidc) -> Self {
        Self {
            user: oidc.user_claim.clone(),
            email: oidc.email_claim.clone(),
            groups: oidc.groups_claim.clone(),
            roles: oidc.roles_claim.clone(),
        }
    }

    /// The paths that are known if they are the same; otherwise these.
    pub(crate) fn or_known(self, known: &Arc<Self>) -> Arc<Self> {
        if self == **known { Arc::clone(known) } else { Arc::new(self) }
    }

    /// Whether the claims hold what policies usually need: the address and the groups.
    pub(crate) fn complete_in(&self, claims: &Value) -> bool {
        claims::at(claims, &self.email).is_some() && claims::at(claims, &self.groups).is_some()
    }

    /// The default paths, but for that of the groups.
    #[cfg(test)]
    pub(crate) fn with_groups_at(groups: &str) -> Arc<Self> {
        let [user, email, roles] =
            ["preferred_username", "email", "realm_access.roles"].map(str::to_owned);
        Arc::new(Self { user, email, groups: groups.to_owned(), roles })
    }
}
