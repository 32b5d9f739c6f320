//! Who may: `[access]`, and `access`, `deny`, `rules` of an app.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, TextOr};

/// What holds for apps that do not say who may open them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessDefault {
    /// As `access` of an app. Default: `"signed-in"`.
    pub(crate) default: Option<At<Access>>,
}

/// Who may: any-of inside a list, all-of between the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraints {
    /// Groups of the groups claim.
    pub(crate) groups: Option<At<Vec<String>>>,
    /// Roles of the realm, or of a client as `client:<id>:<role>`.
    pub(crate) roles: Option<At<Vec<String>>>,
    /// Verified e-mail addresses.
    pub(crate) emails: Option<At<Vec<String>>>,
    /// Exact domains of verified e-mail addresses.
    pub(crate) email_domains: Option<At<Vec<String>>>,
    /// Dotted claim → accepted values.
    pub(crate) claims: Option<At<BTreeMap<String, Vec<String>>>>,
}

/// A policy for a part of an app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Relative to the app's path; `*` is one segment, `**` any number of them.
    pub(crate) path: At<String>,
    /// Only these methods; `GET` means `HEAD` too. Default: all.
    pub(crate) methods: Option<At<Vec<String>>>,
    /// Who may. Default: as the app.
    pub(crate) access: Option<At<Access>>,
    /// Never redirect to the login. Default: as the app.
    pub(crate) api: Option<bool>,
}

/// `"public"`, `"signed-in"`, or constraints.
pub(crate) type Access = TextOr<Constraints>;
