//! The whole file: one field per section.

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::AccessDefault;
use super::alerts::Alerts;
use super::app::App;
use super::oidc::{Oidc, Session};
use super::server::{Log, Server};
use super::shape::{At, Named};

/// The configuration of the appliance: a few web apps and an identity provider behind one login.
///
/// `${X}` and `${X:-default}` are replaced in every string value; `$${` is a literal `${`.
/// Durations are strings such as `"10s"`, sizes strings such as `"64KiB"`. Relative paths start at
/// the folder of the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Addresses, limits and pages of the appliance itself.
    pub(crate) server: Option<Server>,
    /// The log on stdout.
    pub(crate) log: Option<Log>,
    /// The identity provider (issuer) that people sign in at. Required if any routed app is not
    /// public.
    pub(crate) oidc: Option<At<Oidc>>,
    /// How long people stay signed in, and the session cookie.
    pub(crate) session: Option<Session>,
    /// Access policy of the apps that set no `access`.
    pub(crate) access: Option<AccessDefault>,
    /// Messages to a webhook about apps that fail and an issuer that is down.
    pub(crate) alerts: Option<At<Alerts>>,
    /// The apps by name. A name matches `[a-z][a-z0-9-]*`; the name `appliance` is reserved.
    pub(crate) apps: Option<Named<App>>,
}
