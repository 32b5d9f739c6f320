//! Who may: the policy of an app or of a part of it.

use std::collections::BTreeMap;

use super::path_pattern::PathPattern;

/// Who may open something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in and meets the constraints.
    Only(Constraints),
}

/// Any-of inside one key, all-of between the keys. An empty key does not constrain; a value with
/// no key at all is refused by the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Values of the groups claim, exact. A leading `/` of a top-level group is ignored on both sides.
    pub groups: Vec<String>,
    /// Realm roles, or client roles as `client:<id>:<role>`.
    pub roles: Vec<String>,
    /// Whole addresses; case is ignored in the domain.
    pub emails: Vec<String>,
    /// Exact domains, case ignored.
    pub email_domains: Vec<String>,
    /// Dotted claim name → accepted values.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// A policy for a part of an app; the first that matches wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Relative to the app's path, with a leading slash.
    pub path: PathPattern,
    /// Exact methods; empty means all. `GET` means `HEAD` too.
    pub methods: Vec<String>,
    /// Who may.
    pub access: Access,
    /// Never redirect to the login.
    pub api: bool,
}
