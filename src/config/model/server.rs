//! The server, the log and the alerts.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::access::Access;
use super::address::{Listen, PublicUrl};
use super::secret::SecretSource;

/// `[server]`
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Server {
    /// Addresses that the appliance listens on.
    pub listen: Vec<Listen>,
    /// The origin that browsers use.
    pub public_url: PublicUrl,
    /// Where the certificates of the TCP addresses come from, which then speak only TLS.
    pub tls: Option<Tls>,
    /// Address that redirects every request to `public_url`.
    pub redirect_http: Option<SocketAddr>,
    /// TLS offers HTTP/2.
    pub http2: bool,
    /// Connections without TLS may begin with HTTP/2.
    pub h2c: bool,
    /// How long browsers remember to use only https; `None` tells them nothing.
    pub hsts: Option<Duration>,
    /// Folder for keys, generated secrets and the control socket; created with mode 0700.
    pub state_dir: PathBuf,
    /// User of the apps that name none.
    pub users: Users,
    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// These proxies name their clients by the PROXY protocol.
    pub proxy_protocol: bool,
    /// Largest total size of the request headers in bytes; larger ones get 431.
    pub max_header_bytes: usize,
    /// Client connections that may be open at the same time.
    pub max_connections: usize,
    /// The same for one client address; `None` is no limit.
    pub max_connections_per_ip: Option<usize>,
    /// Requests of one client; `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Time for a whole request head, after which the request gets 408.
    pub header_timeout: Duration,
    /// Time between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest pause within a body.
    pub body_timeout: Duration,
    /// How long a client that is alive may take nothing of a response.
    pub send_timeout: Duration,
    /// Texts of apps that any cache may keep are compressed.
    pub compression: bool,
    /// Time budget of a stop.
    pub shutdown_timeout: Duration,
    /// Apps in `starting` at the same time; `None` is twice the number of processor cores.
    pub parallel_starts: Option<usize>,
    /// Address of `/metrics`.
    pub metrics: Option<SocketAddr>,
    /// Who may see the operator page; `None` is nobody.
    pub operators: Option<Access>,
    /// Heading of the portal and error pages.
    pub title: Option<String>,
    /// Image on the portal and error pages: a `data:` URL or a path of the same origin.
    pub logo: Option<String>,
    /// Color of buttons and links on the portal, the sign-in page and the error pages.
    pub color: Option<BrandColor>,
    /// Contact on error pages: an address or a URL.
    pub contact: Option<String>,
}

/// Red, green and blue of the color space sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrandColor(pub [u8; 3]);

impl fmt::Display for BrandColor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Server {
    /// All addresses for clients: those of `listen`, and that of `redirect_http`.
    pub fn addresses(&self) -> Vec<Listen> {
        let redirect = self.redirect_http.map(Listen::Tcp);
        self.listen.iter().cloned().chain(redirect).collect()
    }

    /// The certificate files that the configuration names.
    pub fn certificate_files(&self) -> &[CertificateFiles] {
        match &self.tls {
            Some(Tls::Files(files)) => files,
            Some(Tls::Internal | Tls::Acme(_)) | None => &[],
        }
    }

    /// Number of apps that may be in `starting` at the same time.
    pub fn starts_at_once(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.parallel_starts.unwrap_or_else(|| 2 * cores())
    }
}

/// Where the certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Files that something else makes and renews; at least one.
    Files(Vec<CertificateFiles>),
    /// A certificate authority in `state_dir`.
    Internal,
    /// An authority that is asked by ACME.
    Acme(Acme),
}

/// An authority that is asked by ACME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// URL of the directory of the authority.
    pub directory: String,
    /// The roots of the directory's own certificate; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
}

/// How many requests one client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in `period`.
    pub count: NonZeroU32,
    /// A second, a minute or an hour.
    pub period: Duration,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those between it and the root.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The user of apps that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The user of the appliance.
    Same,
    /// A user for each app, if the appliance runs as root.
    PerApp,
}

/// `[alerts]`
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Source of the URL that alerts are sent to.
    pub webhook: SecretSource,
    /// The events that cause an alert.
    pub events: Vec<AlertEvent>,
    /// Format of the body.
    pub format: AlertFormat,
}

/// An event that can cause an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertEvent {
    /// An app has failed for good.
    Failed,
    /// An app ended by itself and is started again.
    Restarted,
    /// An app is restarted because of its `max_memory`.
    Memory,
    /// An app is no longer ready.
    Unready,
    /// The issuer is down.
    Issuer,
    /// A certificate expires within two weeks.
    Certificate,
}

impl AlertEvent {
    /// The name in the file and in the body of an alert.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Restarted => "restarted",
            Self::Memory => "memory",
            Self::Unready => "unready",
            Self::Issuer => "issuer",
            Self::Certificate => "certificate",
        }
    }
}

/// Format of the body of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFormat {
    /// An object with all facts.
    Json,
    /// A message for a chat.
    Slack,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Format of the lines.
    pub format: LogFormat,
    /// Filter for the appliance's own lines, for example `info` or `appliance=debug,hyper=warn`.
    pub level: String,
    /// Write one line for each request.
    pub access: bool,
    /// When text is coloured.
    pub color: Color,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-11-24T10:00:00.123Z app1        | the line`
    Text,
    /// One JSON object per line.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// If stdout is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
