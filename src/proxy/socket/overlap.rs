//! Addresses of which one includes the other: `0.0.0.0:8080` and `127.0.0.1:8080`. A reload moves from
//! one to the other without a moment in which nothing listens.
//!
//! The kernel binds the second one only if both sockets share the port (`SO_REUSEPORT`). From then on,
//! every process of the same user could share the port as well, also when the option is off again, and
//! take connections. A later socket without the option on the same port ends that; it must not overlap
//! with the others, so it has an IPv6 address. Where the kernel has no IPv6, nothing is shared.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, setsockopt, sockopt,
};

use crate::config::Listen;

/// An address that no machine has (RFC 6666).
const NOWHERE: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

/// The IPv4 address of a listener. With IPv6, the addresses of both families overlap, and nothing is
/// left that the port can be closed with.
fn ipv4(listen: &Listen) -> Option<SocketAddrV4> {
    match listen {
        Listen::Tcp(SocketAddr::V4(address)) if address.port() != 0 => Some(*address),
        Listen::Tcp(_) | Listen::Unix(_) => None,
    }
}

/// Whether connections to `narrow` also come over `wide`.
pub(crate) fn includes(wide: &Listen, narrow: &Listen) -> bool {
    let (Some(wide), Some(narrow)) = (ipv4(wide), ipv4(narrow)) else { return false };
    wide != narrow && wide.ip().is_unspecified() && wide.port() == narrow.port()
}

/// The kernel binds no other address while this one is bound.
pub(crate) fn overlap(one: &Listen, other: &Listen) -> bool {
    let same = ipv4(one).is_some() && ipv4(one) == ipv4(other);
    same || includes(one, other) || includes(other, one)
}

/// Binds an address that overlaps with those of sockets of the appliance.
pub(super) fn bind_beside(address: &Listen, others: &[&TcpListener]) -> io::Result<TcpListener> {
    let address = ipv4(address).ok_or(io::ErrorKind::AddrInUse)?;
    // Nothing is shared that cannot be closed again.
    close_port(address.port())?;
    let bound = {
        let _shared =
            others.iter().map(|other| Shared::new(other)).collect::<io::Result<Vec<_>>>()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let bound = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        setsockopt(&bound, sockopt::ReuseAddr, &true)?;
        let bound = TcpListener::from(bound);
        let shared = Shared::new(&bound)?;
        socket::bind(bound.as_raw_fd(), &SockaddrIn::from(address))?;
        socket::listen(&bound, Backlog::MAXCONN)?;
        drop(shared);
        bound
    };
    close_port(address.port())?;
    Ok(bound)
}

/// A socket that shares its port until the end of this value.
struct Shared<'a>(&'a TcpListener);

impl<'a> Shared<'a> {
    fn new(socket: &'a TcpListener) -> io::Result<Self> {
        setsockopt(socket, sockopt::ReusePort, &true)?;
        Ok(Self(socket))
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        // Turning the option off cannot fail on a socket that has it.
        let _ = setsockopt(self.0, sockopt::ReusePort, &false);
    }
}

/// Makes the kernel forget that a port was shared.
fn close_port(port: u16) -> io::Result<()> {
    let socket =
        socket::socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    setsockopt(&socket, sockopt::IpFreebind, &true)?;
    let nowhere = SocketAddrV6::new(NOWHERE, port, 0, 0);
    Ok(socket::bind(socket.as_raw_fd(), &SockaddrIn6::from(nowhere))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Listen {
        Listen::Tcp(text.parse().unwrap())
    }

    #[test]
    fn an_address_overlaps_with_that_of_all_interfaces() {
        for (one, other, wide, both) in [
            ("0.0.0.0:80", "127.0.0.1:80", true, true),
            ("127.0.0.1:80", "0.0.0.0:80", false, true),
            ("127.0.0.1:80", "127.0.0.1:80", false, true),
            ("0.0.0.0:80", "0.0.0.0:80", false, true),
            ("127.0.0.1:80", "127.0.0.2:80", false, false),
            ("0.0.0.0:80", "127.0.0.1:81", false, false),
            ("0.0.0.0:0", "127.0.0.1:0", false, false),
            ("[::]:80", "127.0.0.1:80", false, false),
            ("[::]:80", "[::1]:80", false, false),
        ] {
            let (one, other) = (listen(one), listen(other));
            assert_eq!(
                (includes(&one, &other), overlap(&one, &other)),
                (wide, both),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn the_second_of_two_overlapping_sockets_is_bound_and_no_third_one() {
        for (first, second) in [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")] {
            let old = TcpListener::bind((first, 0)).unwrap();
            let port = old.local_addr().unwrap().port();
            let new = format!("{second}:{port}");
            assert!(TcpListener::bind(&new).is_err());
            let bound = bind_beside(&listen(&new), &[&old]).unwrap();
            assert_eq!(bound.local_addr().unwrap().to_string(), new);
            for third in ["127.0.0.1", "0.0.0.0", "127.0.0.2"] {
                let flags = SockFlag::SOCK_CLOEXEC;
                let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None);
                let socket = socket.unwrap();
                setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
                setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
                let third: SocketAddrV4 = format!("{third}:{port}").parse().unwrap();
                let taken = socket::bind(socket.as_raw_fd(), &SockaddrIn::from(third));
                assert!(taken.is_err(), "{first} {second} {third}");
            }
            drop(old);
            std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            bound.accept().unwrap();
        }
    }

    #[test]
    fn a_port_that_another_program_holds_is_not_shared() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listen(&format!("0.0.0.0:{}", other.local_addr().unwrap().port()));
        let error = bind_beside(&address, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
