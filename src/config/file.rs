//! `appliance.toml` as it is written: one struct per table, one field per key.
//!
//! The comments on the fields are the reference: `appliance schema` shows them, and editors show
//! the schema. Nothing is checked here beyond types and names of keys; every key is optional, so
//! that [`super::check`] can say in one sentence what is missing.

mod app;
mod schema;
mod server;
mod shape;

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use app::{
    After, App, Backoff, Identity, KeycloakPreset, Limits, Notify, Probe, Restart, Setup,
    StreamlitPreset, Until,
};
pub(super) use schema::schema;
pub(super) use server::{AccessDefault, Color, Log, LogFormat, Oidc, Server, Session};
pub(super) use shape::{At, FlagOr, Named, OneOrMany, Size, TABLES, TextOr};

/// The configuration of the appliance: a few web apps and an identity provider behind one login.
///
/// `${X}` and `${X:-default}` are replaced in every string value, `$${` stands for a literal
/// `${`. Durations are strings as `"10s"`, sizes strings as `"64KiB"`. Relative paths start at
/// the folder of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The front door.
    pub(super) server: Option<Server>,
    /// What is logged, and how.
    pub(super) log: Option<Log>,
    /// Who signs people in. Required as soon as a routed app is not public.
    pub(super) oidc: Option<At<Oidc>>,
    /// How long a login lasts.
    pub(super) session: Option<Session>,
    /// What holds for apps that do not say who may open them.
    pub(super) access: Option<AccessDefault>,
    /// The apps by name; a name is `[a-z][a-z0-9-]*`.
    pub(super) apps: Option<Named<App>>,
}

/// Where a secret comes from; it is never written into this file. Exactly one key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table as `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`"
)]
pub(super) struct SecretRef {
    /// A variable of the appliance's environment.
    pub(super) env: Option<String>,
    /// A file; one trailing newline is dropped.
    pub(super) file: Option<String>,
    /// Made once at random and kept under `state_dir`, by this name.
    pub(super) generate: Option<String>,
}

impl SecretRef {
    /// How many sources are named; one is right.
    pub(super) fn sources(&self) -> usize {
        [&self.env, &self.file, &self.generate].into_iter().flatten().count()
    }
}

/// Who may: any-of inside a list, all-of between the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Constraints {
    /// Groups of the groups claim.
    pub(super) groups: Option<At<Vec<String>>>,
    /// Roles of the realm, or of a client as `client:<id>:<role>`.
    pub(super) roles: Option<At<Vec<String>>>,
    /// Verified e-mail addresses.
    pub(super) emails: Option<At<Vec<String>>>,
    /// Exact domains of verified e-mail addresses.
    pub(super) email_domains: Option<At<Vec<String>>>,
    /// Dotted claim → accepted values.
    pub(super) claims: Option<At<std::collections::BTreeMap<String, Vec<String>>>>,
}

/// A policy for a part of an app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Relative to the app's path; `*` is one segment, `**` any number of them.
    pub(super) path: At<String>,
    /// Only these methods; `GET` means `HEAD` too. Default: all.
    pub(super) methods: Option<At<Vec<String>>>,
    /// Who may. Default: as the app.
    pub(super) access: Option<At<Access>>,
    /// Never redirect to the login. Default: as the app.
    pub(super) api: Option<bool>,
}

/// `"public"`, `"signed-in"`, or constraints.
pub(super) type Access = TextOr<Constraints>;

/// Text that may be shown, or a secret.
pub(super) type EnvValue = TextOr<SecretRef>;

/// A place in the file.
pub(super) type Span = Range<usize>;
