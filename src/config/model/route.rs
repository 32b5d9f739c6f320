//! Routes: where an app is reached, who may open it, and which identity headers it gets.

use std::time::Duration;

use super::access::{Access, Constraints, Rule};
use super::upstream::Upstream;

/// How an app is reached from outside.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Route {
    /// Path prefix on segment boundaries: `/app1`, or `/` for all paths. Only `/` ends with a
    /// slash.
    pub path: String,
    /// Host of the route (lower case, without port); `None` for the host of `public_url`.
    pub host: Option<String>,
    /// Remove the prefix before a request is forwarded.
    pub strip_prefix: bool,
    /// Redirect a GET of exactly `path` to `path/`.
    pub trailing_slash: bool,
    /// Ambiguous paths reach the app as they came.
    pub raw_path: bool,
    /// How long a `GET` or `HEAD` waits for the app while it restarts; zero: not at all.
    pub hold: Duration,
    /// Addresses of the app, used in turn.
    pub upstreams: Vec<Upstream>,
    /// Who may open the app.
    pub access: Access,
    /// Who may not open the app, whatever `access` says.
    pub deny: Option<Constraints>,
    /// Policies for parts of the app; the first that matches counts.
    pub rules: Vec<Rule>,
    /// Answer 401 instead of a redirect to the login.
    pub api: bool,
    /// Names of the identity headers; `None` sends no identity.
    pub identity: Option<Identity>,
    /// Largest request body in bytes; a larger one gets 413.
    pub max_body: Option<u64>,
    /// Time until the first byte of a response.
    pub timeout: Duration,
    /// `Origin` values that are accepted besides the app's own: of WebSocket handshakes, and of
    /// unsafe requests to an app with a host; `*` accepts all.
    pub origins: Vec<String>,
    /// If not empty, only these prefixes (relative to the app's path, on segment boundaries) are
    /// reachable from outside; all other paths get 404. The keycloak preset closes the admin
    /// console with it.
    pub exposed: Vec<String>,
    /// Paths below the app's path that always get 404 from outside, for example Streamlit's
    /// `/_stcore/metrics`.
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

/// Names of the headers that carry the identity to the app (lower case).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name.
    pub user: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Comma-joined, percent-encoded groups.
    pub groups: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// The access token.
    pub access_token: Option<String>,
    /// A signed assertion of the identity, valid for this app alone.
    pub assertion: Option<String>,
}
