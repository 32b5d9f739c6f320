//! `identity` of an app.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// Header names of the identity. Those that are not named are not sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// User name.
    pub(crate) user: Option<At<String>>,
    /// E-mail address.
    pub(crate) email: Option<At<String>>,
    /// Comma-joined, percent-encoded groups.
    pub(crate) groups: Option<At<String>>,
    /// `preferred_username`.
    pub(crate) preferred_username: Option<At<String>>,
    /// Full name.
    pub(crate) name: Option<At<String>>,
    /// The access token itself.
    pub(crate) access_token: Option<At<String>>,
    /// A signed JWT that says who is signed in, for this app alone; keys at `/oauth2/jwks`.
    pub(crate) assertion: Option<At<String>>,
}
