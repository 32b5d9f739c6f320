//! The addresses that serve a route.

mod standing;
mod tls;

use std::fmt;
use std::sync::Arc;

use super::address::Dial;

pub(crate) use standing::InFlight;
pub use standing::Standing;
pub use tls::{AppTls, OpenedTls, TlsContent};

/// An address that serves a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The address that is dialled.
    pub dial: Dial,
    /// The TLS settings of an `https://` address.
    pub tls: Option<Arc<AppTls>>,
    /// The `Host` header that the upstream expects; `None` passes on the browser's.
    pub host: Option<String>,
    /// How the address does.
    pub standing: Standing,
}

impl Upstream {
    /// An address without TLS that expects the `Host` of the browser.
    pub fn new(dial: Dial) -> Self {
        Self { dial, tls: None, host: None, standing: Standing::default() }
    }
}

impl fmt::Display for Upstream {
    /// The address as the file has it, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dial {
            Dial::Unix(_) => write!(f, "unix:{}", self.dial),
            dial => write!(f, "{}://{dial}", if self.tls.is_some() { "https" } else { "http" }),
        }
    }
}
