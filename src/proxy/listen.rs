//! Addresses of the front door: bound once, accepted from by every worker.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::socket::{Backlog, listen};

use super::stream::Stream;
use crate::config::Listen;

/// Sockets that are bound and listening; nobody accepts yet.
#[derive(Debug)]
pub struct Listeners(Vec<Bound>);

#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// One worker's end of a listener.
#[derive(Debug)]
pub(super) enum Acceptor {
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
        io::ErrorKind::AddrInUse => "stop what listens there, or name another address as `listen`",
        io::ErrorKind::PermissionDenied => {
            "start as root, or name a port from 1024 on, or a folder that we may write to, as `listen`"
        }
        _ => "name another address as `listen`",
    }
}

/// Binds all addresses; the error names the one that failed.
pub fn bind(addresses: &[Listen]) -> Result<Listeners, BindError> {
    let bound = addresses.iter().map(|address| {
        bind_one(address).map_err(|source| BindError { address: shown(address), source })
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
    pub(super) fn share(&self) -> io::Result<Listeners> {
        let shared = self.0.iter().map(|bound| match bound {
            Bound::Tcp(listener) => listener.try_clone().map(Bound::Tcp),
            Bound::Unix(listener) => listener.try_clone().map(Bound::Unix),
        });
        shared.collect::<io::Result<_>>().map(Listeners)
    }

    /// To be called inside of the worker's runtime.
    pub(super) fn into_acceptors(self) -> io::Result<Vec<Acceptor>> {
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
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
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
            let listener = std::net::TcpListener::bind(address)?;
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

/// As long a queue as the kernel grants: std asks for a short one.
fn deepen(listener: &impl AsFd) -> io::Result<()> {
    listen(listener, Backlog::MAXCONN).map_err(io::Error::from)
}

/// A socket that a killed predecessor left behind; one that answers is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
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
