//! The issuer and the sessions.

mod group_pattern;

use std::path::PathBuf;
use std::time::Duration;

use super::address::Dial;
use super::name::AppName;
use super::secret::SecretSource;

pub use group_pattern::GroupPattern;

/// `[oidc]`
#[derive(Debug, Clone)]
pub struct Oidc {
    /// The product that the issuer is, if it is said. Its default values are in the other fields.
    pub provider: Option<&'static str>,
    /// How people sign in at the issuer.
    pub protocol: SignInProtocol,
    /// The issuer, byte for byte as in its discovery document; for GitHub the address of its pages.
    pub issuer: String,
    /// The app that is the issuer; it is dialled over loopback.
    pub served_by: Option<AppName>,
    /// The issuer is the Keycloak of a preset: people change their password and second factor with
    /// its application-initiated actions.
    pub account_actions: bool,
    /// Users whose password is in the realm file; named in the log line about signing in.
    pub realm_users: Vec<String>,
    /// What the realm file contains, if the issuer is the Keycloak of a preset.
    pub realm: Option<RealmContent>,
    /// The realm that people sign in to, if the issuer is the Keycloak of a preset.
    pub own_realm: Option<OwnRealm>,
    /// Address for calls to the issuer instead of its public host; [`super::Config::assign_ports`]
    /// sets it if `served_by` is set. The URLs themselves do not change.
    pub dial: Option<Dial>,
    /// OAuth client ID.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretSource,
    /// Scopes of the authorization request.
    pub scopes: Vec<String>,
    /// See [`Self::accepted_audiences`]; empty for the client ID.
    pub audiences: Vec<String>,
    /// Dotted path of the user name claim.
    pub user_claim: String,
    /// Dotted path of the e-mail claim.
    pub email_claim: String,
    /// Dotted path of the groups claim.
    pub groups_claim: String,
    /// What the name of a group at the issuer begins with. Here the group has the rest as its name, and
    /// groups without it are none.
    pub groups_prefix: Option<String>,
    /// The groups that apps learn; empty for all.
    pub groups_only: Vec<GroupPattern>,
    /// Who lists the groups that a token only refers to.
    pub groups_overage: Option<GroupsOverage>,
    /// Dotted path of the realm roles claim.
    pub roles_claim: String,
    /// Refuse people whose e-mail address is not verified.
    pub require_verified_email: bool,
    /// Tolerated difference to the issuer's clock.
    pub clock_skew: Duration,
    /// CA bundle for the issuer's TLS, in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Fixed extra parameters of the authorization request.
    pub login_params: Vec<(String, String)>,
}

/// How people sign in at an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInProtocol {
    /// OpenID Connect: the issuer has a discovery document and sends ID tokens.
    OpenIdConnect,
    /// GitHub: OAuth 2.0 without ID tokens; its REST API tells who has signed in.
    GitHub,
}

/// A realm of the Keycloak of a preset, for its administration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRealm {
    /// Name of the realm.
    pub name: String,
    /// The file that the realm is imported from.
    pub file: PathBuf,
    /// Users that Keycloak imports only if `public_url` is a loopback name.
    pub test_users: Vec<String>,
    /// The console of the realm, if it is open to members of some groups.
    pub console: Option<RealmConsole>,
}

/// The admin console of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmConsole {
    /// Its address.
    pub url: String,
    /// Groups whose members reach it.
    pub groups: Vec<String>,
}

/// The service that lists the groups of a person if a token only refers to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsOverage {
    /// The address of the list, with its query. It receives access tokens.
    pub url: String,
    /// The member of a group's object that is its name.
    pub field: String,
}

impl Oidc {
    /// What bearer tokens must be for: one of these is in their `aud`.
    pub fn accepted_audiences(&self) -> &[String] {
        if self.audiences.is_empty() {
            std::slice::from_ref(&self.client_id)
        } else {
            &self.audiences
        }
    }
}

/// `[session]`
#[derive(Debug, Clone)]
pub struct Session {
    /// Longest duration of a session.
    pub lifetime: Duration,
    /// A session that is unused for this long ends; `None` turns this off.
    pub idle: Option<Duration>,
    /// Base name of the session cookie.
    pub cookie: String,
    /// Sealing keys: 32 bytes each, base64url, newest first, one per line.
    pub keys: SecretSource,
    /// How long before its expiry an access token in use is refreshed.
    pub recheck: Duration,
}

/// What the realm file of the keycloak preset contains, as far as `appliance.toml` refers to it.
#[derive(Debug, Clone, Default)]
pub struct RealmContent {
    /// The groups, each with its path without the leading `/`; `None` if the realm gets groups from
    /// elsewhere, for example from LDAP.
    pub groups: Option<Vec<String>>,
    /// Realm roles, and client roles as `client:<id>:<role>`; `None` if roles come from elsewhere.
    pub roles: Option<Vec<String>>,
    /// The ids of the clients.
    pub clients: Vec<String>,
    /// Places in the file with the ten asterisks that Keycloak exports instead of a secret.
    pub masked: Vec<String>,
}
