//! `[server]`, `[log]`, `[oidc]`, `[session]`, `[access]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, At, OneOrMany, SecretRef};

/// The front door.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Server {
    /// Address, or list of addresses, as `"0.0.0.0:8080"`, `"[::]:8080"` or `"unix:/path"`.
    /// Default: `"0.0.0.0:8080"`.
    pub(in crate::config) listen: Option<At<OneOrMany>>,
    /// The origin that browsers use, without a path. With `https://` cookies are `Secure`, also
    /// when TLS ends in front of the appliance. Default: `http://localhost:<port>`.
    pub(in crate::config) public_url: Option<At<String>>,
    /// Keys, generated secrets, control socket; made with mode 0700. `STATE_DIRECTORY` overrides
    /// it. Default: `".appliance"`.
    pub(in crate::config) state_dir: Option<At<String>>,
    /// Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default: none.
    pub(in crate::config) trusted_proxies: Option<Vec<At<String>>>,
    /// All header lines of a request together; over it 431. Default: `"32KiB"`.
    pub(in crate::config) max_header_bytes: Option<At<String>>,
    /// For a whole request head; after it 408. Default: `"10s"`.
    pub(in crate::config) header_timeout: Option<At<String>>,
    /// Between two requests of a connection. Default: `"75s"`.
    pub(in crate::config) idle_timeout: Option<At<String>>,
    /// Longest pause inside a body: while a request's comes in, and while a client takes nothing of
    /// an answer's. A slow one may take as long as it likes. Default: `"30s"`.
    pub(in crate::config) body_timeout: Option<At<String>>,
    /// The one budget of a stop. Default: `"8s"`.
    pub(in crate::config) shutdown_timeout: Option<At<String>>,
    /// Who may see and use the operator page. Default: nobody.
    pub(in crate::config) operators: Option<At<Access>>,
    /// Heading of the appliance's own pages.
    pub(in crate::config) title: Option<String>,
    /// Image on them: a `data:` URL or a path of this origin.
    pub(in crate::config) logo: Option<At<String>>,
    /// Whom to ask, shown on refusals: an address or a URL.
    pub(in crate::config) contact: Option<String>,
}

/// What is logged, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// Default: `"text"`.
    pub(in crate::config) format: Option<LogFormat>,
    /// Filter of the appliance's own lines: `off`, `error`, `warn`, `info`, `debug` or `trace`,
    /// also by target as in `"info,hyper=warn"`. Default: `"info"`.
    pub(in crate::config) level: Option<At<String>>,
    /// One line for every request. Default: `true`.
    pub(in crate::config) access: Option<bool>,
    /// Colours in text. Default: `"auto"`, on a terminal.
    pub(in crate::config) color: Option<Color>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Who signs people in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Oidc {
    /// URL of the issuer. This or `served_by` is required.
    pub(in crate::config) issuer: Option<At<String>>,
    /// The app that is the issuer: its URL is public, calls to it go over loopback.
    pub(in crate::config) served_by: Option<At<String>>,
    /// OAuth client. Required.
    pub(in crate::config) client_id: Option<At<String>>,
    /// Its secret. Required.
    pub(in crate::config) client_secret: Option<At<SecretRef>>,
    /// Asked for at login. Default: `["openid", "profile", "email"]`.
    pub(in crate::config) scopes: Option<At<Vec<String>>>,
    /// Dotted path of the user name. Default: `"preferred_username"`.
    pub(in crate::config) user_claim: Option<At<String>>,
    /// Dotted path of the e-mail address. Default: `"email"`.
    pub(in crate::config) email_claim: Option<At<String>>,
    /// Dotted path of the groups. Default: `"groups"`.
    pub(in crate::config) groups_claim: Option<At<String>>,
    /// Dotted path of the realm roles. Default: `"realm_access.roles"`.
    pub(in crate::config) roles_claim: Option<At<String>>,
    /// Refuse people whose address is not verified. Default: `false`.
    pub(in crate::config) require_verified_email: Option<bool>,
    /// Tolerance for the issuer's clock. Default: `"30s"`.
    pub(in crate::config) clock_skew: Option<At<String>>,
    /// CA bundle (PEM) for the issuer's TLS, beside the system's.
    pub(in crate::config) ca_file: Option<At<String>>,
    /// Fixed extra parameters of the authorization request, as `kc_idp_hint`.
    pub(in crate::config) login_params: Option<At<BTreeMap<String, String>>>,
}

/// How long a login lasts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Session {
    /// From login to the certain end. Default: `"10h"`.
    pub(in crate::config) lifetime: Option<At<String>>,
    /// Unused for that long, a session ends; `"0s"` is off. Default: `"0s"`.
    pub(in crate::config) idle: Option<At<String>>,
    /// Name of the cookie. Default: `"appliance"`.
    pub(in crate::config) cookie: Option<At<String>>,
    /// Sealing keys: 32 bytes as base64url, newest first, one per line.
    /// Default: `{ generate = "session-keys" }`.
    pub(in crate::config) keys: Option<At<SecretRef>>,
    /// How long before the access token's end it is refreshed while in use. Default: `"60s"`.
    pub(in crate::config) recheck: Option<At<String>>,
}

/// What holds for apps that do not say who may open them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AccessDefault {
    /// As `access` of an app. Default: `"signed-in"`.
    pub(in crate::config) default: Option<At<Access>>,
}
