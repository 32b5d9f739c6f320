//! Addresses of the front door: bound once, accepted from by every worker.

use std::io;
use std::net::{SocketAddr, SocketAddrV6, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, setsockopt, sockopt,
};

use super::stream::Stream;
use crate::config::Listen;

/// Sockets that are bound and listening; nobody accepts yet.
#[derive(Debug)]
pub struct Listeners(Vec<Bound>);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// One worker's end of a listener.
#[derive(Debug)]
pub(crate) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; {}", advice(.source))]
pub struct BindError {
    /// Which.
    pub address: String,
    /// Why.
    pub source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that listens there, or name another address as `listen`"
        }
        io::ErrorKind::PermissionDenied => {
            "start as root, or name a port from 1024 on, or a folder that the appliance may write to, as `listen`"
        }
        _ => "name another address as `listen`",
    }
}

/// Binds all addresses; the error names the one that failed.
pub fn bind(addresses: &[Listen]) -> Result<Listeners, BindError> {
    let bound = addresses.iter().map(|address| {
        let bound = match address {
            Listen::Tcp(SocketAddr::V6(alone)) if has_v4_beside(*alone, addresses) => {
                bind_v6_only(*alone).map(Bound::Tcp)
            }
            other => bind_one(other),
        };
        bound.map_err(|source| BindError { address: shown(address), source })
    });
    bound.collect::<Result<_, _>>().map(Listeners)
}

impl Listeners {
    /// The TCP addresses, with the ports that were really bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = self.0.iter().filter_map(|bound| match bound {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            Bound::Unix(_) => None,
        });
        tcp.collect()
    }

    /// A worker's own descriptors of the same sockets.
    pub(crate) fn share(&self) -> io::Result<Listeners> {
        let shared = self.0.iter().map(|bound| match bound {
            Bound::Tcp(listener) => listener.try_clone().map(Bound::Tcp),
            Bound::Unix(listener) => listener.try_clone().map(Bound::Unix),
        });
        shared.collect::<io::Result<_>>().map(Listeners)
    }

    /// To be called inside of the worker's runtime.
    pub(crate) fn into_acceptors(self) -> io::Result<Vec<Acceptor>> {
        self.0
            .into_iter()
            .map(|bound| match bound {
                Bound::Tcp(listener) => {
                    tokio::net::TcpListener::from_std(listener).map(Acceptor::Tcp)
                }
                Bound::Unix(listener) => {
                    tokio::net::UnixListener::from_std(listener).map(Acceptor::Unix)
                }
            })
            .collect()
    }
}

impl Acceptor {
    /// The next connection and where it comes from.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::tcp(stream), Some(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::unix(stream), None))
            }
        }
    }
}

fn bind_one(address: &Listen) -> io::Result<Bound> {
    match address {
        Listen::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            deepen(&listener)?;
            Ok(Bound::Tcp(listener))
        }
        Listen::Unix(path) => {
            remove_stale(path)?;
            let listener = std::os::unix::net::UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            deepen(&listener)?;
            Ok(Bound::Unix(listener))
        }
    }
}

/// Whether an IPv4 address of the same port is bound, too.
fn has_v4_beside(address: SocketAddrV6, addresses: &[Listen]) -> bool {
    let port = address.port();
    addresses
        .iter()
        .any(|other| matches!(other, Listen::Tcp(SocketAddr::V4(v4)) if v4.port() == port))
}

/// `[::]` takes the port of IPv4, too, unless it is told not to before it is bound.
fn bind_v6_only(address: SocketAddrV6) -> io::Result<TcpListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Inet6, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn6::from(address))?;
    deepen(&socket)?;
    Ok(socket.into())
}

/// As long a queue as the kernel grants: std asks for a short one.
fn deepen(listener: &impl AsFd) -> io::Result<()> {
    socket::listen(listener, Backlog::MAXCONN).map_err(io::Error::from)
}

/// A socket that a killed predecessor left behind; one that answers is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    // A file that is no socket refuses, too, and is somebody's.
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

fn shown(address: &Listen) -> String {
    match address {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_share_a_port() {
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
    fn a_dead_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front.sock");
        let address = [Listen::Unix(path.clone())];
        drop(bind(&address).unwrap());
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("other")).unwrap());
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        drop(bind(&address).unwrap());
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, "somebody's").unwrap();
        assert!(bind(&address).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
    }
}
