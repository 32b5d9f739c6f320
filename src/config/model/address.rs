//! Addresses: the public URL, listeners, and addresses that are dialled, with the check whether the
//! program behind a connection is the app.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::name::AppName;
use crate::config::ownership::app_socket::UnixSocket;

/// The origin that browsers use: scheme and authority, no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether the scheme is `https`: cookies are `Secure` and have the prefix `__Host-`.
    pub secure: bool,
    /// Host in lower case, without port.
    pub host: String,
    /// Port, also when it is the default of the scheme.
    pub port: u16,
}

impl PublicUrl {
    /// `host`, or `host:port` if the port is not the default of the scheme: the value of a `Host`
    /// header.
    pub fn authority(&self) -> String {
        if self.port == if self.secure { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether the host means the browser's own machine, so that no other machine can use the URL.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// `http` or `https`
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// Whether a host without a port means the machine of the browser that names it.
pub fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

impl fmt::Display for PublicUrl {
    /// The origin without a trailing slash, for example `https://apps.example.org`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

/// Where a connection goes: the address that is dialled, which may differ from the URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dial {
    /// Host and port; a literal address is not resolved.
    Tcp(String, u16),
    /// The port of an app that runs here.
    Loopback(LoopbackPort),
    /// A unix socket.
    Unix(UnixSocket),
}

/// The port of an app that runs here, on 127.0.0.1 or on `::1`: many programs listen on `localhost`,
/// which is only one of the two for some of them. All clones share the choice. The supervisor makes
/// it: it alone knows which of two listeners belongs to the app.
#[derive(Debug, Clone)]
pub struct LoopbackPort {
    port: u16,
    v6: Arc<AtomicBool>,
}

impl LoopbackPort {
    /// The port on 127.0.0.1, until [`Self::choose`] says otherwise.
    pub fn new(port: u16) -> Self {
        Self { port, v6: Arc::default() }
    }

    /// The port; 0 until it is assigned.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Takes over the choice for the same port that was made under another configuration.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        if self.port == before.port {
            self.v6 = Arc::clone(&before.v6);
        }
    }

    /// The addresses on which the app may listen, in the order of preference.
    pub fn candidates(&self) -> [SocketAddr; 2] {
        [(Ipv4Addr::LOCALHOST, self.port).into(), (Ipv6Addr::LOCALHOST, self.port).into()]
    }

    /// The address that is dialled.
    pub fn address(&self) -> SocketAddr {
        let [v4, v6] = self.candidates();
        if self.v6.load(Ordering::Relaxed) { v6 } else { v4 }
    }

    /// Sets the address that is dialled.
    pub fn choose(&self, address: SocketAddr) {
        self.v6.store(address.is_ipv6(), Ordering::Relaxed);
    }
}

impl PartialEq for LoopbackPort {
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port
    }
}

impl Eq for LoopbackPort {}

impl Hash for LoopbackPort {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.port.hash(state);
    }
}

impl fmt::Display for Dial {
    /// The address as `Host` headers have it, or the path of a unix socket.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(own) => write!(f, "{}", own.address()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(socket) => write!(f, "{}", socket.path().display()),
        }
    }
}

/// An address that the appliance listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `0.0.0.0:8080`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

impl Listen {
    /// The TCP address; `None` for a unix socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// The network that one client has at least, for limits on clients: an IPv4 address, or the /64 of an IPv6
/// address. One subscriber can choose any address of that /64.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Checks a new connection to an app before anything is sent over it.
pub trait ListenerCheck: Debug + Send + Sync {
    /// Number of the process that is checked. No other process, of this or another app, has it.
    fn incarnation(&self) -> u64 {
        0
    }

    /// Whether the program that has accepted the connection is the app. An address that the app itself is
    /// not meant to open is not checked. The check may have to look at many descriptors of processes; it
    /// never keeps its thread busy with that.
    ///
    /// # Errors
    ///
    /// The connection must not be used.
    fn check(&self, connection: Ends) -> BoxFuture<'static, Result<(), ListenerFault>>;
}

/// The two ends of a TCP connection of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The appliance's end.
    pub local: SocketAddr,
    /// The end of the app, as the appliance has dialled it, or of a client.
    pub peer: SocketAddr,
}

/// A connection that a client has made, for the question which program the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEnd {
    /// Over TCP.
    Tcp(Ends),
    /// Over a unix socket, by a process of this user.
    Unix(u32),
}

/// Recognises the apps among the clients.
pub trait AppClients: Debug + Send + Sync {
    /// The app whose user has made a connection on this machine. `None` for other clients, and for an app
    /// that runs as the appliance's user: many programs may have that one.
    fn app_of(&self, client: ClientEnd) -> Option<AppName>;
}

/// The checks of all apps.
pub type ListenerChecks = HashMap<AppName, Arc<dyn ListenerCheck>>;

/// Why a connection must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenerFault {
    /// Another program listens; the text names it.
    #[error("{0}")]
    Foreign(String),
    /// The listener is the app's, but it has not been there before, or it has gone: another program
    /// may have accepted the connection. A new connection reaches the app.
    #[error("the app has just opened or closed its port")]
    Changed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_in_a_url() {
        for (host, written) in [("localhost", "localhost:80"), ("::1", "[::1]:80")] {
            assert_eq!(Dial::Tcp(host.into(), 80).to_string(), written);
        }
    }
}
