//! How a client connection has come in.

use super::overlap::includes;
use crate::config::Listen;

/// How a client connection has come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Over a socket without TLS: the appliance has none, or a proxy in front of it has.
    Clear,
    /// Over TLS.
    Tls {
        /// The name that the client has asked for, in lower case; `None` for an address.
        server_name: Option<Box<str>>,
    },
    /// Over the address of `redirect_http`.
    Redirect,
}

impl Entrance {
    /// Whether the client has asked for another host in its handshake than in its request.
    pub(crate) fn is_for_another(&self, host: &str) -> bool {
        match self {
            Self::Tls { server_name: Some(name) } => !name.eq_ignore_ascii_case(host),
            Self::Tls { server_name: None } | Self::Clear | Self::Redirect => false,
        }
    }
}

/// The version of HTTP that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What an address of the appliance speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP, on TCP by TLS if there are certificates.
    Http,
    /// Redirects only.
    Redirects,
}

impl Speaks {
    /// What `address` speaks; `redirect` is the address of `redirect_http`.
    pub(crate) fn at(address: &Listen, redirect: Option<std::net::SocketAddr>) -> Self {
        // The socket of a former address stays in use where a new one includes it.
        let redirects = |redirect: Listen| redirect == *address || includes(&redirect, address);
        if redirect.map(Listen::Tcp).is_some_and(redirects) { Self::Redirects } else { Self::Http }
    }
}
