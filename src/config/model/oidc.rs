//! The issuer, and the sessions that come of its logins.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Dial;
use super::name::AppName;
use super::secret::SecretSource;

/// `[oidc]`
#[derive(Debug, Clone)]
pub struct Oidc {
    /// The issuer, byte for byte as its discovery document must say it.
    pub issuer: String,
    /// The app that is the issuer: it is dialled over loopback.
    pub served_by: Option<AppName>,
    /// The issuer is the Keycloak of a preset: people change their password and second factor by its
    /// application-initiated actions.
    pub account_actions: bool,
    /// Who can sign in with a password that stands in the realm's file; for the line that invites.
    pub realm_users: Vec<String>,
    /// Where calls to the issuer go instead of its public host (RFC 8414 URLs stay as they are);
    /// set by [`super::Config::assign_ports`] when `served_by` is.
    pub dial: Option<Dial>,
    /// OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretSource,
    /// Asked for at login.
    pub scopes: Vec<String>,
    /// Dotted path of the user name.
    pub user_claim: String,
    /// Dotted path of the e-mail address.
    pub email_claim: String,
    /// Dotted path of the groups.
    pub groups_claim: String,
    /// Dotted path of the realm roles.
    pub roles_claim: String,
    /// Refuse people whose address is not verified.
    pub require_verified_email: bool,
    /// Tolerance for the issuer's clock.
    pub clock_skew: Duration,
    /// CA bundle for the issuer's TLS, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Fixed extra parameters of the authorization request.
    pub login_params: Vec<(String, String)>,
}

/// `[session]`
#[derive(Debug, Clone)]
pub struct Session {
    /// From login to the certain end.
    pub lifetime: Duration,
    /// Unused for that long, a session ends; `None` is off.
    pub idle: Option<Duration>,
    /// Base name of the cookie.
    pub cookie: String,
    /// Sealing keys: 32 bytes each, base64url, newest first, one per line.
    pub keys: SecretSource,
    /// How long before the access token's end it is refreshed while in use.
    pub recheck: Duration,
}
