//! Connects, also while no port is left that the kernel would choose as the own one.
//!
//! A program that binds every port of the ephemeral range, at any address of this machine, makes each
//! connection fail with `EADDRNOTAVAIL`: the kernel chooses no port that somebody has bound. A connection to
//! an app on this machine then takes a port outside of the range, as root one that no app can bind.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use nix::unistd::geteuid;
use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

use super::resolve::resolve;

/// Ports that only root may bind, as `rresvport` chooses them.
const OF_ROOT: RangeInclusive<u16> = 512..=1023;
/// Where the kernel shows the ports that it chooses.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// How many ports one connection tries.
const ATTEMPTS: usize = 64;

/// Connects. The caller limits the time.
pub(crate) async fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host(address).await?.collect();
    let error = match TcpStream::connect(&addresses[..]).await {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => error,
        connected => return connected,
    };
    let here = addresses.into_iter().filter(|one| one.ip().to_canonical().is_loopback());
    let ports = own_ports(geteuid().is_root(), std::fs::read_to_string(EPHEMERAL).ok().as_deref());
    for address in here {
        if let Ok(stream) = connect_from(&ports, address).await {
            return Ok(stream);
        }
    }
    Err(error)
}

/// Connects to a host, whose name is resolved anew. The caller limits the time.
pub(crate) async fn connect_to_name(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = resolve(host, port).await?;
    connect(&addresses[..]).await
}

/// The ports that the kernel does not choose, and whose use disturbs nobody.
fn own_ports(is_root: bool, ephemeral: Option<&str>) -> Vec<u16> {
    if is_root {
        return OF_ROOT.collect();
    }
    let mut bounds = ephemeral.unwrap_or_default().split_ascii_whitespace();
    let mut bound = || bounds.next()?.parse::<u16>().ok();
    let Some((first, last)) = bound().zip(bound()) else { return Vec::new() };
    // Above the range first: services listen below.
    let above = last.saturating_add(1)..=u16::MAX;
    let above = above.filter(|port| *port > last);
    above.chain((1024..first).rev()).collect()
}

async fn connect_from(ports: &[u16], address: SocketAddr) -> io::Result<TcpStream> {
    let mut failed = ErrorKind::AddrNotAvailable.into();
    let start = fastrand::usize(0..ports.len().max(1));
    for port in ports.iter().cycle().skip(start).take(ATTEMPTS.min(ports.len())) {
        match connect_from_port(*port, address).await {
            // The port is bound, or a connection between the same two ports is closing.
            Err(taken)
                if matches!(taken.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) =>
            {
                failed = taken;
            }
            connected => return connected,
        }
    }
    Err(failed)
}

async fn connect_from_port(port: u16, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Several connections to different addresses may have the same own port.
    socket.set_reuseaddr(true)?;
    // The same loopback address: the kernel would choose it, too.
    socket.bind(SocketAddr::new(address.ip(), port))?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_ports_are_none_that_the_kernel_chooses() {
        assert_eq!(own_ports(true, None).len(), 512);
        let range = Some("32768\t60999\n");
        let ports = own_ports(false, range);
        assert_eq!((ports[0], ports[4536]), (61000, 32767));
        assert!(ports.iter().all(|port| *port >= 1024 && !(32768..=60999).contains(port)));
        assert_eq!(own_ports(false, Some("1024 65535")), [0; 0]);
        for unknown in [None, Some(""), Some("many few"), Some("1024")] {
            assert_eq!(own_ports(false, unknown), [0; 0], "{unknown:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_takes_another_port_than_those_that_are_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Two ports that are taken, and one that is free.
        let taken = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let free = {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        };
        let [one, other] = taken.each_ref().map(|socket| socket.local_addr().unwrap().port());
        let stream = connect_from(&[one, other, free], address).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().port(), free);
        assert_eq!(stream.peer_addr().unwrap(), address);
        // A program that does not listen is no reason to try another port.
        drop(listener);
        let refused = connect_from(&[one, other, free], address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let none = connect_from(&[], address).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn an_address_is_reached_as_usual() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(connect(address).await.unwrap().peer_addr().unwrap(), address);
        let named = connect(("localhost", address.port())).await.unwrap();
        assert_eq!(named.peer_addr().unwrap(), address);
        assert!(connect("no address").await.is_err());
    }
}
