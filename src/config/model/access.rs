//! Access policies: who may open an app or a part of it.

use std::collections::BTreeMap;
use std::slice;

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
    /// People who are signed in and meet all constraints of at least one table: two tables or more.
    AnyOf(Box<[Constraints]>),
}

impl Access {
    /// The tables of a policy that names people, one of which must be met; none for the other policies.
    pub fn tables(&self) -> &[Constraints] {
        match self {
            Self::Public | Self::SignedIn => &[],
            Self::Only(table) => slice::from_ref(table),
            Self::AnyOf(tables) => tables,
        }
    }
}

/// A table of a policy. One value of each list must match, and all keys must match. An empty list does
/// not constrain; the check refuses a table without any list.
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

/// One key of a table: what of the person is compared, and with which values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constraint<'a> {
    /// What of the person is compared.
    pub subject: Subject<'a>,
    /// The values, one of which must match. Not empty.
    pub values: &'a [String],
}

/// What of a person a constraint compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// `groups`
    Groups,
    /// `roles`
    Roles,
    /// `emails`
    Emails,
    /// `email_domains`
    EmailDomains,
    /// A claim of `claims`, by its dotted name.
    Claim(&'a str),
}

impl Constraints {
    /// The keys that the table has, in the order in which they are compared.
    pub fn each(&self) -> impl Iterator<Item = Constraint<'_>> {
        let lists = [
            (Subject::Groups, &self.groups),
            (Subject::Roles, &self.roles),
            (Subject::Emails, &self.emails),
            (Subject::EmailDomains, &self.email_domains),
        ];
        let claims = self.claims.iter().map(|(name, values)| (Subject::Claim(name), values));
        let all = lists.into_iter().filter(|(_, values)| !values.is_empty()).chain(claims);
        all.map(|(subject, values)| Constraint { subject, values })
    }
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
