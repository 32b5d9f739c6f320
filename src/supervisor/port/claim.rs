//! Checks before a start that the app's port is free; otherwise the start fails and names the holder.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use super::{holder, listeners};
use crate::supervisor::process::spawn_error::SpawnError;

/// Fails if another program holds one of the addresses.
pub(crate) fn check(addresses: &[SocketAddr]) -> Result<(), SpawnError> {
    let taken = addresses.iter().find_map(|address| Some((*address, holder_of(*address)?)));
    taken.map_or(Ok(()), |(address, holder)| Err(SpawnError::PortTaken { address, holder }))
}

/// `None` also if no holder is visible: then the app itself finds out whether it can bind the
/// address. A socket that an ended process left behind has no holder.
fn holder_of(address: SocketAddr) -> Option<String> {
    if can_be_bound(address) {
        return None;
    }
    let all = listeners::all();
    let listening: Vec<_> = all.iter().filter(|socket| socket.listens).copied().collect();
    let serving = listeners::serving(&listening, address).into_iter().next();
    let bound =
        || all.iter().find(|socket| socket.address == address && socket.inode != 0).copied();
    serving.or_else(bound).map(|socket| holder::name(&socket))
}

/// Whether another process of the appliance's user could listen at the address, too, although a
/// program listens there: all listeners have set `SO_REUSEPORT`.
pub(super) fn can_be_joined(address: SocketAddr) -> bool {
    bind_at(address, |socket| setsockopt(socket, sockopt::ReusePort, &true)).is_ok()
}

/// Binds without listening, so that no client connects to the appliance by mistake.
fn can_be_bound(address: SocketAddr) -> bool {
    let bound = bind_at(address, |socket| setsockopt(socket, sockopt::ReuseAddr, &true));
    bound != Err(Errno::EADDRINUSE)
}

fn bind_at(
    address: SocketAddr,
    prepare: impl FnOnce(&OwnedFd) -> nix::Result<()>,
) -> nix::Result<()> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    prepare(&socket)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_on_the_address_is_named() {
        for (bound, claimed) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.1"),
            ("[::]:0", "127.0.0.1"),
            ("[::]:0", "::1"),
            ("[::1]:0", "::1"),
        ] {
            // A machine may have no IPv6, and still bind `[::]`.
            if TcpListener::bind((claimed, 0)).is_err() {
                continue;
            }
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            let address = SocketAddr::new(claimed.parse().unwrap(), port);
            let taken = check(&[address]).unwrap_err().to_string();
            assert!(taken.starts_with(&format!("{address} is taken by ")), "{taken}");
            assert!(taken.contains(&format!("pid {}", std::process::id())), "{taken}");
            drop(listener);
            check(&[address]).unwrap();
        }
    }

    #[test]
    fn other_addresses_and_ended_connections_do_not_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let v6 = SocketAddr::new("::1".parse().unwrap(), address.port());
        check(&[v6]).unwrap();
        // The end that closes first keeps the address for a minute.
        let client = TcpStream::connect(address).unwrap();
        drop(listener.accept().unwrap());
        drop((client, listener));
        check(&[address]).unwrap();
    }
}
