//! The whole file: one field per section.

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::AccessDefault;
use super::app::App;
use super::oidc::{Oidc, Session};
use super::server::{Log, Server};
use super::shape::{At, Named};

/// The configuration of the appliance: a few web apps and an identity provider behind one login.
///
/// `${X}` and `${X:-default}` are replaced in every string value, `$${` stands for a literal
/// `${`. Durations are strings as `"10s"`, sizes strings as `"64KiB"`. Relative paths start at
/// the folder of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The front door.
    pub(crate) server: Option<Server>,
    /// What is logged, and how.
    pub(crate) log: Option<Log>,
    /// Who signs people in. Required as soon as a routed app is not public.
    pub(crate) oidc: Option<At<Oidc>>,
    /// How long a login lasts.
    pub(crate) session: Option<Session>,
    /// What holds for apps that do not say who may open them.
    pub(crate) access: Option<AccessDefault>,
    /// The apps by name; a name is `[a-z][a-z0-9-]*`.
    pub(crate) apps: Option<Named<App>>,
}
