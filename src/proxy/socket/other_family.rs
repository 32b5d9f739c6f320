//! Keeps the port of an IPv4 address from other programs on IPv6.
//!
//! `localhost` has two addresses, and a machine usually has both families. Browsers try IPv6 first. A program
//! that listens on the port there, perhaps an app, would get their requests with the cookies of the sessions.
//! The port is bound there and nothing listens, so clients are refused at once and use IPv4.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn6, setsockopt, sockopt};
use tracing::warn;

/// The socket that keeps the port.
#[derive(Debug, Default)]
pub(super) struct OtherFamily(Mutex<Option<OwnedFd>>);

impl OtherFamily {
    /// Keeps the port. Another program that has it is named in a warning. Without IPv6, there is nothing to keep.
    pub(super) fn keep(&self, address: SocketAddrV4) {
        let Some(twin) = twin(address) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return;
        }
        match bind(twin) {
            Ok(socket) => *kept = Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => warn!(
                %address,
                taken = %twin,
                "another program listens on the port of `listen` by IPv6; browsers that use IPv6 reach it instead \
                 of the appliance, and send it the cookies of the sessions; stop it, or add the address to `listen`"
            ),
            Err(_) => {}
        }
    }

    /// Gives the port up: the appliance binds it itself.
    pub(super) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The IPv6 address that clients use like this IPv4 address.
fn twin(address: SocketAddrV4) -> Option<SocketAddrV6> {
    let ip = match *address.ip() {
        ip if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED,
        std::net::Ipv4Addr::LOCALHOST => Ipv6Addr::LOCALHOST,
        _ => return None,
    };
    Some(SocketAddrV6::new(ip, address.port(), 0, 0))
}

fn bind(address: SocketAddrV6) -> io::Result<OwnedFd> {
    // Without the option to reuse the address: with it, a program with the same option could bind it as well, as
    // nothing listens.
    let kind = SockType::Stream;
    let socket = socket::socket(AddressFamily::Inet6, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    socket::bind(socket.as_raw_fd(), &SockaddrIn6::from(address))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_kept_port_refuses_other_programs_and_their_clients() {
        for (listen, taken) in [("127.0.0.1", "::1"), ("0.0.0.0", "::1"), ("0.0.0.0", "::")] {
            let listener = TcpListener::bind((listen, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let other = OtherFamily::default();
            other.keep(format!("{listen}:{port}").parse().unwrap());
            assert!(TcpListener::bind((taken, port)).is_err(), "{listen} {taken}");
            assert!(TcpStream::connect(("::1", port)).is_err());
            assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
            other.release();
            drop(TcpListener::bind(("::1", port)).unwrap());
        }
    }

    #[test]
    fn an_address_of_one_interface_has_no_twin() {
        assert_eq!(twin("192.0.2.1:80".parse().unwrap()), None);
        assert_eq!(twin("0.0.0.0:80".parse().unwrap()), Some("[::]:80".parse().unwrap()));
    }
}
