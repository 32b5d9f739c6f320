//! `[oidc]` and `[session]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::secret::SecretRef;
use super::shape::At;

/// Who signs people in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oidc {
    /// URL of the issuer. This or `served_by` is required.
    pub(crate) issuer: Option<At<String>>,
    /// The app that is the issuer: its URL is public, calls to it go over loopback.
    pub(crate) served_by: Option<At<String>>,
    /// OAuth client. Required.
    pub(crate) client_id: Option<At<String>>,
    /// Its secret. Required.
    pub(crate) client_secret: Option<At<SecretRef>>,
    /// Asked for at login. Default: `["openid", "profile", "email"]`.
    pub(crate) scopes: Option<At<Vec<String>>>,
    /// Dotted path of the user name. Default: `"preferred_username"`.
    pub(crate) user_claim: Option<At<String>>,
    /// Dotted path of the e-mail address. Default: `"email"`.
    pub(crate) email_claim: Option<At<String>>,
    /// Dotted path of the groups. Default: `"groups"`.
    pub(crate) groups_claim: Option<At<String>>,
    /// Dotted path of the realm roles. Default: `"realm_access.roles"`.
    pub(crate) roles_claim: Option<At<String>>,
    /// Refuse people whose address is not verified. Needed where the issuer gives no `email_verified`
    /// and people choose their address themselves. Default: `false`.
    pub(crate) require_verified_email: Option<bool>,
    /// Tolerance for the issuer's clock. Default: `"30s"`.
    pub(crate) clock_skew: Option<At<String>>,
    /// CA bundle (PEM) for the issuer's TLS, beside the system's.
    pub(crate) ca_file: Option<At<String>>,
    /// Fixed extra parameters of the authorization request, as `kc_idp_hint`.
    pub(crate) login_params: Option<At<BTreeMap<String, String>>>,
}

/// How long a login lasts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    /// From login to the certain end. Default: `"10h"`.
    pub(crate) lifetime: Option<At<String>>,
    /// Unused for that long, a session ends; `"0s"` is off. Default: `"0s"`.
    pub(crate) idle: Option<At<String>>,
    /// Name of the cookie. Default: `"appliance"`.
    pub(crate) cookie: Option<At<String>>,
    /// Sealing keys: 32 bytes as base64url, newest first, one per line.
    /// Default: `{ generate = "session-keys" }`.
    pub(crate) keys: Option<At<SecretRef>>,
    /// How long before the access token's end it is refreshed while in use. Default: `"60s"`.
    pub(crate) recheck: Option<At<String>>,
}
