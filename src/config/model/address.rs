//! Addresses: what browsers see, what is listened on, what is dialled.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The origin that browsers use: scheme and authority, no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https`: cookies are `Secure` and `__Host-`.
    pub secure: bool,
    /// Host in lower case, without port.
    pub host: String,
    /// The port, also when it is the scheme's default.
    pub port: u16,
}

impl PublicUrl {
    /// `host`, or `host:port` when the port is not the scheme's default: a `Host` header's value.
    pub fn authority(&self) -> String {
        if self.port == if self.secure { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl fmt::Display for PublicUrl {
    /// The origin without a trailing slash, as `https://apps.example.org`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

/// Where a connection goes: the address that is dialled, whatever the URL says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dial {
    /// `host:port`; a literal address is not resolved.
    Tcp(String, u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// An address that is dialled for a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub dial: Dial,
    /// TLS to it (`https://`).
    pub tls: bool,
    /// The `Host` it expects when it is not ours to keep; `None` keeps the browser's.
    pub host: Option<String>,
}

/// Where the front door listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `0.0.0.0:8080`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}
