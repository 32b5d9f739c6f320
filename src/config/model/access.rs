//! Access policies: who may open an app or a part of it.

use std::collections::BTreeMap;

use super::path_pattern::PathPattern;

/// An access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Everybody who is signed in.
    SignedIn,
    /// People who are signed in and meet the constraints.
    Only(Constraints),
}

/// One value of each list must match, and all keys must match. An empty list does not constrain;
/// the check refuses a table without any list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Exact values of the groups claim. A leading `/` of a top-level group is ignored on both
    /// sides.
    pub groups: Vec<String>,
    /// Realm roles, or client roles as `client:<id>:<role>`.
    pub roles: Vec<String>,
    /// Whole addresses; the domain is compared without regard to case.
    pub emails: Vec<String>,
    /// Exact domains, compared without regard to case.
    pub email_domains: Vec<String>,
    /// Accepted values by dotted claim name.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// The policy for a part of an app; the first rule that matches counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Pattern of the path, relative to the app's path.
    pub path: PathPattern,
    /// Exact methods; empty means all. `GET` includes `HEAD`.
    pub methods: Vec<String>,
    /// Who may open this part.
    pub access: Access,
    /// Answer 401 instead of a redirect to the login.
    pub api: bool,
}
