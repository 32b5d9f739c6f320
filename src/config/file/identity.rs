//! `identity` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// The table form of `identity`: header names by part of the identity. A part that is not named is
/// not sent. A reserved header, such as `Host` or `Authorization`, is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// Header for the user name.
    ///
    /// Type: header name. Default: not sent. Example: `"X-User"`.
    pub(crate) user: Option<At<String>>,
    /// Header for the e-mail address; not sent if the issuer marks the address as unverified.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Email"`.
    pub(crate) email: Option<At<String>>,
    /// Header for the groups, each percent-encoded, joined by commas.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Groups"`.
    pub(crate) groups: Option<At<String>>,
    /// Header for the claim `preferred_username`.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Login"`.
    pub(crate) preferred_username: Option<At<String>>,
    /// Header for the full name.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Name"`.
    pub(crate) name: Option<At<String>>,
    /// Header for the person's access token. The program of the app can also fetch the current one while
    /// a WebSocket is open.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Access-Token"`.
    pub(crate) access_token: Option<At<String>>,
    /// Header for a signed assertion (JWT, ES256) of the identity, valid for this app alone. The
    /// keys to verify it are at `/oauth2/jwks`.
    ///
    /// Type: header name. Default: not sent. Example: `"X-Identity-Assertion"`.
    pub(crate) assertion: Option<At<String>>,
}
