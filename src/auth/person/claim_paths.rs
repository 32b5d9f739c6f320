//! Where in the claims the parts of a person are.

use serde_json::Value;

use super::claims;
use crate::config::Oidc;

/// The dotted claim paths of `[oidc]`.
#[derive(Debug)]
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

    /// Whether the claims hold what policies usually need: the address and the groups.
    pub(crate) fn complete_in(&self, claims: &Value) -> bool {
        claims::at(claims, &self.email).is_some() && claims::at(claims, &self.groups).is_some()
    }
}
