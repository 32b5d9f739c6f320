//! Small values with a grammar of their own.

use std::fmt;

/// The name of an app: `[a-z][a-z0-9-]*`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(std::sync::Arc<str>);

impl AppName {
    /// `None` when the text is no name.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let good = first.is_ascii_lowercase()
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

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
    Unix(std::path::PathBuf),
}
