//! The front door, the log, the issuer and the sessions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{Access, AppName, Dial, PublicUrl, SecretSource};

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Addresses of the front door.
    pub listen: Vec<Listen>,
    /// The origin that browsers use.
    pub public_url: PublicUrl,
    /// Keys, generated secrets, control socket; made 0700.
    pub state_dir: PathBuf,
    /// Peers whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// All header lines together, bytes; over it 431.
    pub max_header_bytes: usize,
    /// For a whole request head; after it 408.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest pause inside a request body.
    pub body_timeout: Duration,
    /// The one budget of a stop.
    pub shutdown_timeout: Duration,
    /// Who may see the operator page; `None` is nobody.
    pub operators: Option<Access>,
    /// Heading of our pages.
    pub title: Option<String>,
    /// Image on our pages: a `data:` URL or a same-origin path.
    pub logo: Option<String>,
    /// Whom to ask, shown on refusals: an address or a URL.
    pub contact: Option<String>,
}

/// Where the front door listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `0.0.0.0:8080`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// Filter of our own lines, as `info` or `appliance=debug,hyper=warn`.
    pub level: String,
    /// One line for every request.
    pub access: bool,
    /// Colours in text.
    pub color: Color,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-11-24T10:00:00.123Z app1        | the line`
    Text,
    /// One object a line.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `[oidc]`
#[derive(Debug, Clone)]
pub struct Oidc {
    /// The issuer, byte for byte as its discovery document must say it.
    pub issuer: String,
    /// The app that is the issuer: it is dialled over loopback.
    pub served_by: Option<AppName>,
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
