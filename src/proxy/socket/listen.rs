//! Listening sockets of the proxy: bound once at the start, shared by all worker threads.

use std::io;
use std::net::{SocketAddr, SocketAddrV6, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, setsockopt, sockopt,
};

use super::other_family::OtherFamily;
use super::overlap::{bind_beside, overlap};
use super::socket_file::SocketFile;
use super::stream;
use crate::config::{ClientEnd, Ends, Listen};

/// Sockets that are bound and listening. Connections wait in the kernel's queue until a worker
/// thread accepts them.
#[derive(Debug)]
pub struct Listeners(Vec<(Listen, Listener)>);

#[derive(Debug)]
enum Listener {
    /// A socket, and a duplicate that all duplicates of the socket share.
    Tcp(TcpListener, Arc<HeldSocket>),
    /// The file is removed with the last duplicate, before the socket is closed.
    Unix(Arc<SocketFile>, std::os::unix::net::UnixListener),
}

/// A listening socket as one worker thread uses it, inside its tokio runtime.
#[derive(Debug)]
pub(crate) enum Acceptor {
    Tcp { listener: tokio::net::TcpListener, _held: Arc<HeldSocket> },
    Unix { listener: tokio::net::UnixListener, _file: Arc<SocketFile> },
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// An address on which sockets listen. It is known as long as one of them is open; nothing is known of a
/// unix socket.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) address: Listen,
    pub(crate) socket: Weak<HeldSocket>,
}

/// A socket that is open as long as one worker uses it.
#[derive(Debug)]
pub(crate) struct HeldSocket {
    pub(super) listener: TcpListener,
    other_family: OtherFamily,
}

impl Held {
    /// Gives up the port of the address on IPv6, which a new address of the appliance may need.
    pub(crate) fn release_port(&self) {
        if let Some(socket) = self.socket.upgrade() {
            socket.other_family.release();
        }
    }

    /// Keeps the port again.
    pub(crate) fn keep_port(&self) {
        if let (Listen::Tcp(SocketAddr::V4(address)), Some(socket)) =
            (&self.address, self.socket.upgrade())
        {
            socket.other_family.keep(*address);
        }
    }
}

/// The proxy cannot listen on an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", advice(.source))]
pub struct BindError {
    /// The address, as written in `listen`.
    pub address: String,
    /// The error of the kernel.
    pub source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that listens there, or name another address as `listen`, and change the port of `public_url` with it"
        }
        io::ErrorKind::PermissionDenied => {
            "start as root, or name a port from 1024 on, or a folder that the appliance may write to, as `listen`"
        }
        _ => "name another address as `listen`",
    }
}

/// Binds all addresses. The error names the address that failed; the sockets that were bound before
/// it are closed.
pub fn bind(addresses: &[Listen]) -> Result<Listeners, BindError> {
    let bound = bind_among(addresses, &[])?;
    bound.keep_ports(&[]);
    Ok(bound)
}

/// The same beside sockets of the appliance, of which the addresses may overlap with the new ones.
pub(crate) fn bind_among(addresses: &[Listen], own: &[Held]) -> Result<Listeners, BindError> {
    let bound = addresses.iter().map(|address| {
        let bound = match address {
            Listen::Tcp(SocketAddr::V6(alone)) if shares_port_with_ipv4(*alone, addresses) => {
                bind_v6_only(*alone).and_then(tcp)
            }
            other => bind_address(other),
        };
        let bound = bound.or_else(|error| {
            let others = own.iter().filter(|one| overlap(&one.address, address));
            let others: Vec<_> = others.filter_map(|one| one.socket.upgrade()).collect();
            if error.kind() != io::ErrorKind::AddrInUse || others.is_empty() {
                return Err(error);
            }
            let others: Vec<_> = others.iter().map(|other| &other.listener).collect();
            bind_beside(address, &others).and_then(tcp)
        });
        match bound {
            Ok(listener) => Ok((address.clone(), listener)),
            Err(source) => Err(BindError { address: display(address), source }),
        }
    });
    bound.collect::<Result<_, _>>().map(Listeners)
}

impl Listeners {
    /// The TCP addresses, with the ports that were really bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = self.0.iter().filter_map(|(_, bound)| match bound {
            Listener::Tcp(listener, _) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        });
        tcp.collect()
    }

    /// Keeps the ports of IPv4 addresses from other programs on IPv6, unless the appliance listens there itself:
    /// on one of these addresses, or on one of `beside`.
    pub(crate) fn keep_ports(&self, beside: &[Held]) {
        let own = self.0.iter().map(|(address, _)| address);
        let own: Vec<_> = own.chain(beside.iter().map(|one| &one.address)).collect();
        let is_own = |port| {
            own.iter()
                .any(|one| matches!(one, Listen::Tcp(SocketAddr::V6(v6)) if v6.port() == port))
        };
        for (_, bound) in &self.0 {
            if let Listener::Tcp(listener, held) = bound
                && let Ok(SocketAddr::V4(address)) = listener.local_addr()
                && !is_own(address.port())
            {
                held.other_family.keep(address);
            }
        }
    }

    /// The addresses, as long as the sockets are open.
    pub(crate) fn held(&self) -> Vec<Held> {
        let held = self.0.iter().map(|(address, bound)| {
            let socket = match bound {
                Listener::Tcp(_, held) => Arc::downgrade(held),
                Listener::Unix(..) => Weak::new(),
            };
            Held { address: address.clone(), socket }
        });
        held.collect()
    }

    /// Duplicates the descriptors for one worker thread. The sockets stay the same.
    pub(crate) fn share(&self) -> io::Result<Listeners> {
        let shared = self.0.iter().map(|(address, bound)| {
            let bound = match bound {
                Listener::Tcp(listener, held) => {
                    listener.try_clone().map(|listener| Listener::Tcp(listener, Arc::clone(held)))
                }
                Listener::Unix(file, listener) => {
                    listener.try_clone().map(|listener| Listener::Unix(Arc::clone(file), listener))
                }
            };
            Ok((address.clone(), bound?))
        });
        shared.collect::<io::Result<_>>().map(Listeners)
    }

    /// Registers the sockets with the tokio runtime of the calling worker thread.
    pub(crate) fn into_acceptors(self) -> io::Result<Vec<(Listen, Acceptor)>> {
        self.0
            .into_iter()
            .map(|(address, bound)| {
                let acceptor = match bound {
                    Listener::Tcp(listener, held) => {
                        let listener = tokio::net::TcpListener::from_std(listener)?;
                        Acceptor::Tcp { listener, _held: held }
                    }
                    Listener::Unix(file, listener) => {
                        let listener = tokio::net::UnixListener::from_std(listener)?;
                        Acceptor::Unix { listener, _file: file }
                    }
                };
                Ok((address, acceptor))
            })
            .collect()
    }
}

impl Accepted {
    /// Who has made the connection; `address` is the client's. `None` after the client has left.
    pub(crate) fn client_end(&self, address: Option<SocketAddr>) -> Option<ClientEnd> {
        match self {
            Self::Tcp(stream) => {
                let (local, peer) = (stream.local_addr().ok()?, address?);
                Some(ClientEnd::Tcp(Ends { local, peer }))
            }
            Self::Unix(stream) => Some(ClientEnd::Unix(stream.peer_cred().ok()?.uid())),
        }
    }
}

impl Acceptor {
    /// Accepts one connection. The address is `None` for a unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Option<SocketAddr>)> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, address) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Some(address)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted::Unix(stream), None))
            }
        }
    }
}

fn tcp(listener: TcpListener) -> io::Result<Listener> {
    // A client that vanishes without a word must not keep its place.
    stream::keep_alive(&listener);
    let held = HeldSocket { listener: listener.try_clone()?, other_family: OtherFamily::default() };
    Ok(Listener::Tcp(listener, Arc::new(held)))
}

fn bind_address(address: &Listen) -> io::Result<Listener> {
    match address {
        Listen::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            set_longest_backlog(&listener)?;
            tcp(listener)
        }
        Listen::Unix(path) => {
            remove_stale_socket(path)?;
            let listener = std::os::unix::net::UnixListener::bind(path)?;
            let file = Arc::new(SocketFile::of(path));
            listener.set_nonblocking(true)?;
            set_longest_backlog(&listener)?;
            Ok(Listener::Unix(file, listener))
        }
    }
}

/// Whether `addresses` has an IPv4 address with the same port.
fn shares_port_with_ipv4(address: SocketAddrV6, addresses: &[Listen]) -> bool {
    let port = address.port();
    addresses
        .iter()
        .any(|other| matches!(other, Listen::Tcp(SocketAddr::V4(v4)) if v4.port() == port))
}

/// Binds an IPv6 address for IPv6 only. By default, `[::]` also takes the port for IPv4; the option
/// that prevents this must be set before the bind.
fn bind_v6_only(address: SocketAddrV6) -> io::Result<TcpListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Inet6, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn6::from(address))?;
    set_longest_backlog(&socket)?;
    Ok(socket.into())
}

/// Sets the accept queue to the longest that the kernel allows. The standard library asks for 128.
fn set_longest_backlog(listener: &impl AsFd) -> io::Result<()> {
    socket::listen(listener, Backlog::MAXCONN).map_err(io::Error::from)
}

/// Removes a unix socket that a killed process left behind. A socket that accepts a connection is in
/// use and stays.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    // A regular file also refuses the connection, and it may hold data: only sockets are removed.
    if !std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

fn display(address: &Listen) -> String {
    match address {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_and_ipv6_can_listen_on_the_same_port() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = |text: &str| Listen::Tcp(format!("{text}:{free}").parse().unwrap());
        let bound = bind(&[address("[::]"), address("0.0.0.0")]).unwrap();
        assert_eq!(bound.addresses().len(), 2);
        drop(bound);
        let bound = bind(&[address("[::]")]).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", free)).unwrap();
        drop(bound);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_regular_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front.sock");
        let address = [Listen::Unix(path.clone())];
        drop(bind(&address).unwrap());
        assert!(!path.exists(), "nothing listens on it any more");
        let bound = bind(&address).unwrap();
        let shared = bound.share().unwrap();
        drop(bound);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "a worker listens");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "of another").unwrap();
        drop(shared);
        std::fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("other")).unwrap());
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        drop(bind(&address).unwrap());
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, "data").unwrap();
        assert!(bind(&address).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }
}
