//! Where in the claims the parts of a person are, and which of their groups count.

use std::sync::Arc;

use serde_json::{Value, json};

use super::claims::{self, REFERENCES, plain_group};
use crate::config::{GroupPattern, Oidc};

/// The source of groups that nobody names.
const UNKNOWN: &str = "unknown";

/// The dotted claim paths of `[oidc]`, and its rules for groups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClaimPaths {
    pub(super) user: String,
    pub(super) email: String,
    pub(super) groups: String,
    pub(super) roles: String,
    /// `[oidc] groups_prefix`
    pub(super) prefix: Option<String>,
    /// `[oidc] groups_only`; empty for all.
    pub(super) only: Vec<GroupPattern>,
}

impl ClaimPaths {
    pub(crate) fn new(oidc: &Oidc) -> Self {
        Self {
            user: oidc.user_claim.clone(),
            email: oidc.email_claim.clone(),
            groups: oidc.groups_claim.clone(),
            roles: oidc.roles_claim.clone(),
            prefix: oidc.groups_prefix.clone(),
            only: oidc.groups_only.clone(),
        }
    }

    /// The paths that are known if they are the same; otherwise these.
    pub(crate) fn or_known(self, known: &Arc<Self>) -> Arc<Self> {
        if self == **known { Arc::clone(known) } else { Arc::new(self) }
    }

    /// Whether the claims hold what policies usually need: the address and the groups.
    pub(crate) fn complete_in(&self, claims: &Value) -> bool {
        claims::at(claims, &self.email).is_some() && self.have_groups(claims)
    }

    /// Whether the claims have a list of groups.
    pub(crate) fn have_groups(&self, claims: &Value) -> bool {
        claims::has_list(claims, &self.groups)
    }

    /// Whether the claims say that the groups are elsewhere (OpenID Connect Core §5.6.2).
    pub(crate) fn refer_to_groups(&self, claims: &Value) -> bool {
        !self.have_groups(claims) && claims::is_reference(claims, &self.groups)
    }

    /// Notes that the groups are not known: they admit nobody, and every `deny` with groups shuts the person out,
    /// as groups that are elsewhere. The note has the form in which issuers say that.
    pub(crate) fn set_groups_unknown(&self, claims: &mut Value) {
        let first = self.groups.split('.').next().unwrap_or(&self.groups);
        if let Value::Object(claims) = claims {
            match claims.entry(REFERENCES).or_insert_with(|| json!({})) {
                Value::Object(names) => drop(names.insert(first.to_owned(), UNKNOWN.into())),
                other => *other = json!({ (first): UNKNOWN }),
            }
        }
    }

    /// Adds the groups that another service has listed.
    pub(crate) fn set_groups(&self, claims: &mut Value, groups: Vec<String>) {
        if let Value::Object(claims) = claims {
            claims.insert(self.groups.clone(), groups.into());
        }
    }

    /// The groups that count, by the names that they have here: without `groups_prefix`.
    pub(super) fn groups(&self, claims: &Value) -> Vec<String> {
        let mut groups = claims::list(claims, &self.groups);
        if let Some(prefix) = &self.prefix {
            // A prefix may begin with the slash of a top-level group or leave it out.
            let rest = |group: &String| {
                let rest =
                    group.strip_prefix(prefix).or_else(|| plain_group(group).strip_prefix(prefix));
                rest.filter(|rest| !rest.is_empty()).map(str::to_owned)
            };
            groups = groups.iter().filter_map(rest).collect();
        }
        groups
    }

    /// Whether apps learn this group of a person.
    pub(super) fn tell(&self, group: &str) -> bool {
        // With and without the slash of a top-level group, as in policies.
        let (plain, is_top) = (plain_group(group), !plain_group(group).contains('/'));
        let matches = |pattern: &GroupPattern| {
            pattern.matches(group)
                || is_top && (pattern.matches(plain) || pattern.matches(&format!("/{plain}")))
        };
        self.only.is_empty() || self.only.iter().any(matches)
    }

    /// The default paths, but for that of the groups.
    #[cfg(test)]
    pub(crate) fn with_groups_at(groups: &str) -> Arc<Self> {
        let [user, email, roles] =
            ["preferred_username", "email", "realm_access.roles"].map(str::to_owned);
        let groups = groups.to_owned();
        Arc::new(Self { user, email, groups, roles, prefix: None, only: Vec::new() })
    }

    /// The default paths with these rules for groups.
    #[cfg(test)]
    pub(crate) fn with_rules(prefix: Option<&str>, only: &[&str]) -> Arc<Self> {
        let paths = Self::with_groups_at("groups");
        let Self { user, email, groups, roles, .. } = &*paths;
        let [user, email, groups, roles] = [user, email, groups, roles].map(Clone::clone);
        let only = only.iter().copied().map(GroupPattern::new).collect();
        Arc::new(Self { user, email, groups, roles, prefix: prefix.map(str::to_owned), only })
    }
}
