//! `[oidc]` and `[session]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::secret::SecretRef;
use super::shape::{At, FlagOr};

/// The identity provider (issuer) that people sign in at. Required if any routed app is not public.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oidc {
    /// The product that the issuer is. It sets scopes, claims and what else the product needs; each
    /// of these settings can be set beside it. `appliance check --expanded` prints what it sets, and
    /// docs/issuers.md says what to set up at the issuer.
    ///
    /// Type: `"keycloak"`, `"entra"`, `"google"`, `"okta"`, `"authentik"`, `"zitadel"`, `"auth0"` or
    /// `"github"`.
    /// Default: none. Example: `"keycloak"`.
    pub(crate) provider: Option<At<String>>,
    /// URL of the issuer, byte for byte as in its discovery document. Set either this key or
    /// `served_by`; for an app without the `keycloak` preset set both. With `provider = "google"` it
    /// is known. With `provider = "github"` it is `https://github.com`, or the address of a GitHub
    /// Enterprise Server.
    ///
    /// Type: URL. Required unless `served_by` names an app with the `keycloak` preset. Example:
    /// `"https://login.example.org/realms/staff"`.
    pub(crate) issuer: Option<At<String>>,
    /// Name of the app that is the issuer. Browsers reach the issuer at its public URL; the
    /// appliance calls it over loopback. The app must be public and have a `path` or `host`. With
    /// the `keycloak` preset, the issuer URL follows from the app and its realm.
    ///
    /// Type: app name. Default: none. Example: `"keycloak"`.
    pub(crate) served_by: Option<At<String>>,
    /// OAuth client ID that is registered at the issuer.
    ///
    /// Type: string. Required. Example: `"appliance"`.
    pub(crate) client_id: Option<At<String>>,
    /// OAuth client secret. With the `keycloak` preset, `generate` creates a secret for both sides.
    ///
    /// Type: secret. Required. Example: `{ env = "OIDC_SECRET" }`.
    pub(crate) client_secret: Option<At<SecretRef>>,
    /// Scopes of the authorization request. Must include `openid`, with `provider = "github"` instead
    /// `user:email` and `read:org`. The default, like that of the claims, is another one with some
    /// `provider`.
    ///
    /// Type: list of strings. Default: `["openid", "profile", "email"]`. Example: `["openid",
    /// "profile", "email", "groups"]`.
    pub(crate) scopes: Option<At<Vec<String>>>,
    /// Audiences of access tokens that apps with `bearer = true` accept: one of them must be in the
    /// token's `aud`. At Keycloak, an audience mapper in a client scope adds one to the tokens of a client.
    ///
    /// Type: list of strings. Default: `[client_id]`. Example: `["reports-api"]`.
    pub(crate) audiences: Option<At<Vec<String>>>,
    /// Claim with the user name: a name, or a dotted path for a nested claim.
    ///
    /// Type: string. Default: `"preferred_username"`. Example: `"sub"`.
    pub(crate) user_claim: Option<At<String>>,
    /// Claim with the e-mail address: a name, or a dotted path for a nested claim.
    ///
    /// Type: string. Default: `"email"`.
    pub(crate) email_claim: Option<At<String>>,
    /// Claim with the list of groups: a name, or a dotted path for a nested claim. Of a list of objects,
    /// the member at the end of the path is read (`"groups.name"`). A path that ends in `.*` reads the
    /// names of an object's members.
    ///
    /// Type: string. Default: `"groups"`. Example: `"resource_access.reports.roles"`.
    pub(crate) groups_claim: Option<At<String>>,
    /// Only groups whose name at the issuer begins with this prefix count, and they lose it: with
    /// `"app-"`, the group `app-reports` is called `reports` in `access` and in what apps receive.
    /// `deny` also finds a group without the prefix.
    ///
    /// Type: string. Default: none. Example: `"/apps/"`.
    pub(crate) groups_prefix: Option<At<String>>,
    /// Only these groups reach apps, in headers, assertions and `/oauth2/userinfo`; `*` stands for any
    /// text. `access` and `deny` see all groups. With `groups_prefix`, the names without it are compared.
    ///
    /// Type: list of strings. Default: all groups. Example: `["app-*", "staff"]`.
    pub(crate) groups_only: Option<At<Vec<String>>>,
    /// The service that lists the groups of people who are in too many for a token: Entra ID then only
    /// refers to the list. `url` is asked with the person's access token, page by page, at every login
    /// and refresh; `field` is the member that names a group (default: `"id"`). A login whose list
    /// cannot be fetched is refused. `false` turns off what `provider` sets.
    ///
    /// Type: table or `false`. Default: none; with `provider = "entra"` Microsoft Graph. Example:
    /// `{ url = "https://graph.example.org/me/groups", field = "displayName" }`.
    pub(crate) groups_overage: Option<At<FlagOr<GroupsOverage>>>,
    /// Claim with the list of realm roles: a name, or a dotted path for a nested claim, as in
    /// `groups_claim`.
    ///
    /// Type: string. Default: `"realm_access.roles"`. Example: `"roles"`.
    pub(crate) roles_claim: Option<At<String>>,
    /// Refuse people whose e-mail address is not verified (`email_verified` is not true). Set it if
    /// people choose their address themselves and the issuer sends no `email_verified`: without that
    /// claim an address counts.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) require_verified_email: Option<bool>,
    /// Tolerated difference between the issuer's clock and the appliance's clock.
    ///
    /// Type: duration. Default: `"30s"`.
    pub(crate) clock_skew: Option<At<String>>,
    /// CA certificates (PEM) for the issuer's TLS, in addition to those of the system.
    ///
    /// Type: path. Default: none. Example: `"company-ca.pem"`.
    pub(crate) ca_file: Option<At<String>>,
    /// Extra parameters that every authorization request carries. Parameters of the protocol
    /// itself, such as `state`, are refused. Those of `provider` that have no value here stay.
    ///
    /// Type: table of strings. Default: `{}`. Example: `{ kc_idp_hint = "corporate", ui_locales =
    /// "de" }`.
    pub(crate) login_params: Option<At<BTreeMap<String, String>>>,
}

/// Where the groups are that a token only refers to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupsOverage {
    /// Address of the list, with its query. A page of it has the members `value` and
    /// `@odata.nextLink`.
    ///
    /// Type: https URL. Default: that of `provider`. Example: `"https://graph.example.org/me/groups"`.
    pub(crate) url: Option<At<String>>,
    /// Member of a group's object that is its name.
    ///
    /// Type: string. Default: `"id"`. Example: `"displayName"`.
    pub(crate) field: Option<At<String>>,
}

/// How long people stay signed in, and the session cookie.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    /// Longest duration of a session, counted from the login. Then people must sign in again.
    ///
    /// Type: duration. Default: `"10h"`.
    pub(crate) lifetime: Option<At<String>>,
    /// A session that is unused for this long ends; `"0s"` turns this off. A person uses it by opening
    /// a page, by a change (`POST`, `PATCH`, `DELETE`) and by a WebSocket message; what an open page
    /// requests by itself defers the end once, by the same time. Must not be longer than `lifetime`.
    ///
    /// Type: duration. Default: `"0s"`. Example: `"30m"`.
    pub(crate) idle: Option<At<String>>,
    /// Name of the session cookie. With an `https://` `public_url`, the appliance adds the prefix
    /// `__Host-`. Browsers share cookies between the ports of a host, so the default has the port
    /// of `public_url` behind it unless that is the default of the scheme: `appliance-8080`.
    ///
    /// Type: string. Default: `"appliance"` or `"appliance-PORT"`. Example: `"data-team"`.
    pub(crate) cookie: Option<At<String>>,
    /// Keys that seal the session cookies: 32 bytes as base64url each, one per line, the newest
    /// first. To replace a key, add a line at the top and remove the last line after one
    /// `lifetime`.
    ///
    /// Type: secret. Default: `{ generate = "session-keys" }`. Example: `{ file =
    /// "/run/secrets/session-keys" }`.
    pub(crate) keys: Option<At<SecretRef>>,
    /// How long before its expiry an access token is refreshed while its session is in use. At most
    /// half of the token's own lifetime. A refresh brings new groups and detects revoked sessions.
    ///
    /// Type: duration. Default: `"60s"`.
    pub(crate) recheck: Option<At<String>>,
}
