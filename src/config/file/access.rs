//! Who may: `[access]`, and `access`, `deny`, `rules` of an app.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, TableOrTables, TextOrTables};

/// Access policy of the apps that set no `access`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessDefault {
    /// Access policy of every app that sets no `access` itself. Takes the same values as `access`
    /// of an app.
    ///
    /// Type: access policy. Default: `"signed-in"`. Example: `{ email_domains = ["example.org"] }`.
    pub(crate) default: Option<At<Access>>,
}

/// An access policy as a table: one value of each list must match, and all keys must match. A list
/// of tables is met by a person who meets one of them: `[{ groups = ["a"], email_domains =
/// ["example.org"] }, { roles = ["admin"] }]`. Without a table, `access` takes `"public"` (everybody,
/// without a login) or `"signed-in"` (everybody who is signed in). Empty tables and empty lists are
/// refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraints {
    /// Groups of the person. A leading `/` of a top-level group is ignored.
    ///
    /// Type: list of strings. Default: not checked. Example: `["group1", "group2"]`.
    pub(crate) groups: Option<At<Vec<String>>>,
    /// Realm roles of the person, or client roles as `client:<id>:<role>`.
    ///
    /// Type: list of strings. Default: not checked. Example: `["admin", "client:reports:export"]`.
    pub(crate) roles: Option<At<Vec<String>>>,
    /// E-mail addresses, with exactly one `@`. An address that the issuer marks as unverified does
    /// not match.
    ///
    /// Type: list of strings. Default: not checked. Example: `["alice@example.org"]`.
    pub(crate) emails: Option<At<Vec<String>>>,
    /// Domains of e-mail addresses, compared exactly: a subdomain does not match. An address that
    /// the issuer marks as unverified does not match.
    ///
    /// Type: list of strings. Default: not checked. Example: `["example.org"]`.
    pub(crate) email_domains: Option<At<Vec<String>>>,
    /// Accepted values of other claims, by claim name or dotted path.
    ///
    /// Type: table of lists. Default: not checked. Example: `{ department = ["sales", "finance"]
    /// }`.
    pub(crate) claims: Option<At<BTreeMap<String, Vec<String>>>>,
}

/// A rule gives a part of an app its own policy. The first rule that matches a request counts; if
/// no rule matches, the policy of the app counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Pattern for the path, relative to the app's path and starting with `/`. `*` is one segment,
    /// `**` any number of segments, also none. A rule that narrows the access holds in every
    /// spelling of the path (escapes, letter case), a rule that widens the access only in its own.
    ///
    /// Type: string. Required. Example: `"/public/**"`.
    pub(crate) path: At<String>,
    /// The rule matches only these methods, compared exactly. `GET` includes `HEAD`. A rule with
    /// methods does not widen the access of a WebSocket handshake. Headers that override the method
    /// never reach an app; a form field or a query such as `?_method=DELETE` does.
    ///
    /// Type: list of strings. Default: all methods. Example: `["GET"]`.
    pub(crate) methods: Option<At<Vec<String>>>,
    /// Who may open this part.
    ///
    /// Type: access policy. Default: the app's `access`. Example: `"public"`.
    pub(crate) access: Option<At<Access>>,
    /// Answer 401 with a JSON string instead of a redirect to the login.
    ///
    /// Type: boolean. Default: the app's `api`. Example: `true`.
    pub(crate) api: Option<bool>,
}

/// `"public"`, `"signed-in"`, or who is meant.
pub(crate) type Access = TextOrTables<Constraints>;

/// Who is meant: a table, or several of which one must be met.
pub(crate) type Tables = TableOrTables<Constraints>;
