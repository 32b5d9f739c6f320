//! Under which address an app is reached, by whom, and what it is told about them.

use std::time::Duration;

use super::access::{Access, Constraints, Rule};
use super::address::Upstream;

/// What of an app is reachable from outside, and for whom.
#[derive(Debug, Clone)]
pub struct Route {
    /// Prefix on segment borders: `/app1`, or `/` for all. No trailing slash otherwise.
    pub path: String,
    /// Only under this host (lower case, without port).
    pub host: Option<String>,
    /// The app does not see the prefix.
    pub strip_prefix: bool,
    /// Where it is dialled; more than one: in turn.
    pub upstreams: Vec<Upstream>,
    /// Who may.
    pub access: Access,
    /// Who may not, whatever `access` says.
    pub deny: Option<Constraints>,
    /// Policies of its parts, first match wins.
    pub rules: Vec<Rule>,
    /// Never redirect to the login.
    pub api: bool,
    /// Names of the identity headers; `None`: no identity is handed over.
    pub identity: Option<Identity>,
    /// Over it 413, bytes.
    pub max_body: Option<u64>,
    /// For the first byte of an answer.
    pub timeout: Duration,
    /// `Origin` values of WebSocket handshakes beside `public_url`'s; `*` allows all.
    pub origins: Vec<String>,
    /// When not empty: only these prefixes (relative, on segment borders) are reachable from
    /// outside, all else is 404. The keycloak preset closes the admin console with it.
    pub exposed: Vec<String>,
    /// Paths below the app's that are always 404 from outside, as streamlit's `/_stcore/metrics`.
    pub hidden_paths: Vec<String>,
    /// What scripts of other apps must not get.
    pub shield: Shield,
}

/// What scripts and frames of the apps that have the same origin must not get of an app: prefixes
/// below its path. Programs that are no browsers get everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shield {
    /// Answered to a navigation of the person only.
    pub pages: Vec<String>,
    /// What of them is for everybody nevertheless.
    pub open: Vec<String>,
    /// Answered to no browser at all.
    pub programs: Vec<String>,
}

/// Header names under which an app hears who is signed in (lower case).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Comma-joined, percent-encoded groups.
    pub groups: Option<String>,
    /// `preferred_username`.
    pub preferred_username: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// The access token itself.
    pub access_token: Option<String>,
    /// A signed assertion of who is signed in, for this app alone.
    pub assertion: Option<String>,
}
