//! The listening TCP sockets of this machine, asked from the kernel (`man 7 sock_diag`).
//!
//! `/proc/net/tcp` has them too, but the kernel fills each read from its table of connections, which
//! may take a millisecond. This question is about listeners alone and takes some microseconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use super::filter::{self, AF_INET, AF_INET6};
use super::socket::Socket;
use crate::config::Ends;

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// `NLM_F_REQUEST`
const ONE: u16 = 1;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `TCP_ESTABLISHED`
const STATE_ESTABLISHED: u8 = 1;
/// `TCP_SYN_RECV`
const STATE_SYN_RECEIVED: u8 = 3;
/// `TCP_LISTEN`
const STATE_LISTEN: u8 = 10;
/// `TCP_NEW_SYN_RECV`
const STATE_NEW_SYN_RECEIVED: u8 = 12;
/// `NLMSG_DONE`
const DONE: u16 = 3;
const TCP: u8 = 6;
/// `1 << TCP_LISTEN`
const LISTENING: u32 = 1 << 10;
/// Length of a message's header.
const HEADER: usize = HEADER_LENGTH as usize;
const HEADER_LENGTH: u32 = 16;
/// Length of the header and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + REQUEST_BODY as usize;
/// Length of `struct inet_diag_req_v2`.
const REQUEST_BODY: u32 = 56;
/// `INET_DIAG_REQ_BYTECODE`
const FILTER: u16 = 1;
/// Length of an attribute's header.
const ATTRIBUTE: usize = 4;
/// The kernel sends no larger piece.
const PIECE: usize = 32 * 1024;

/// All sockets that listen; `None` if the kernel does not answer this question.
pub(super) fn listening() -> Option<Vec<Socket>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        ask(&request(family), &mut found, |_| true)?;
    }
    Some(found)
}

/// The sockets that listen at one of these addresses, or at the same port of all addresses. The kernel
/// chooses them: an app can listen on a hundred thousand others.
pub(super) fn listening_at(addresses: &[SocketAddr]) -> Option<Vec<Socket>> {
    let mut found = Vec::new();
    if addresses.is_empty() {
        return Some(found);
    }
    let filter = filter::of(addresses);
    for family in [AF_INET, AF_INET6] {
        ask(&filtered(&request(family), &filter)?, &mut found, |_| true)?;
    }
    Some(found)
}

/// Whether the kernel shows any socket that listens. Reads one piece of its answer.
pub(super) fn shows_any() -> Option<bool> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        ask(&request(family), &mut found, <[Socket]>::is_empty)?;
    }
    Some(!found.is_empty())
}

/// Who has the app's end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FarEnd {
    /// It waits in the queue of a listener.
    Waiting,
    /// A program has accepted it, and this is the inode of its socket.
    Accepted(u64),
    /// It is closed.
    Gone,
}

/// Who has the other end of a connection on this machine; `None` if the kernel does not answer this
/// question.
pub(super) fn far_end(ends: Ends) -> Option<FarEnd> {
    ask_one(ends, read_one)
}

/// Inode of the socket that the kernel would hand a connection to this address to. The kernel looks it
/// up, however many others listen. Of sockets that share the port (`SO_REUSEPORT`), it is one.
pub(super) fn listener(address: SocketAddr) -> Option<u64> {
    ask_listener(address, read_listener)
}

fn ask_listener<T>(address: SocketAddr, read: fn(&[u8]) -> Option<T>) -> Option<T> {
    let nobody: IpAddr = match address.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    ask_one(Ends { local: SocketAddr::new(nobody, 0), peer: address }, read)
}

/// User of the socket that the kernel would hand a connection to this address to; `None` if no program
/// listens there. See [`listener`].
pub(super) fn user_of_listener(address: SocketAddr) -> Option<u32> {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    ask_listener(address, read_listeners_user)
}

/// User of the socket at the other end of a connection; `None` if it is not on this machine.
pub(super) fn user_of_far_end(ends: Ends) -> Option<u32> {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let ends = Ends { local: canonical(ends.local), peer: canonical(ends.peer) };
    ask_one(ends, read_user)
}

/// Sends a question. The answer is read from the socket.
fn put(request: &[u8]) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let diag = SockProtocol::NetlinkSockDiag;
    let netlink = socket(AddressFamily::Netlink, SockType::Datagram, flags, diag).ok()?;
    send(netlink.as_raw_fd(), request, MsgFlags::empty()).ok()?;
    Some(netlink)
}

fn ask_one<T>(ends: Ends, read: fn(&[u8]) -> Option<T>) -> Option<T> {
    let netlink = put(&request_of_one(ends))?;
    let mut piece = vec![0; PIECE];
    let length = recv(netlink.as_raw_fd(), &mut piece, MsgFlags::MSG_DONTWAIT).ok()?;
    read(&piece[..length])
}

fn request_of_one(ends: Ends) -> [u8; REQUEST] {
    let mut bytes = request(if ends.peer.is_ipv4() { AF_INET } else { AF_INET6 });
    bytes[6..8].copy_from_slice(&ONE.to_ne_bytes());
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_ne_bytes());
    // `struct inet_diag_sockid` of the app's end.
    let id = &mut bytes[HEADER + 8..];
    id[..2].copy_from_slice(&ends.peer.port().to_be_bytes());
    id[2..4].copy_from_slice(&ends.local.port().to_be_bytes());
    for (at, ip) in [(4, ends.peer.ip()), (20, ends.local.ip())] {
        match ip {
            IpAddr::V4(ip) => id[at..at + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => id[at..at + 16].copy_from_slice(&ip.octets()),
        }
    }
    // `INET_DIAG_NOCOOKIE`
    id[40..48].fill(u8::MAX);
    bytes
}

fn read_listener(piece: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(piece.get(4..6)?.try_into().ok()?);
    let message = piece.get(HEADER..).filter(|_| kind == BY_FAMILY)?;
    let inode = u32::from_ne_bytes(message.get(68..72)?.try_into().ok()?);
    (message.get(1) == Some(&STATE_LISTEN)).then_some(inode.into())
}

fn read_listeners_user(piece: &[u8]) -> Option<u32> {
    read_listener(piece)?;
    let user = piece.get(HEADER + 64..HEADER + 68)?;
    user.try_into().ok().map(u32::from_ne_bytes)
}

fn read_user(piece: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(piece.get(4..6)?.try_into().ok()?);
    let message = piece.get(HEADER..).filter(|_| kind == BY_FAMILY)?;
    // The kernel names a listener if it does not find the connection.
    let is_connection = *message.get(1)? != STATE_LISTEN;
    let [user, inode] = [message.get(64..68)?, message.get(68..72)?]
        .map(|bytes| bytes.try_into().map(u32::from_ne_bytes).ok());
    // No program has a socket without an inode any more, and the kernel shows 0 as its user.
    user.filter(|_| is_connection && inode != Some(0))
}

fn read_one(piece: &[u8]) -> Option<FarEnd> {
    let kind = u16::from_ne_bytes(piece.get(4..6)?.try_into().ok()?);
    let message = piece.get(HEADER..)?;
    if kind == ERROR {
        let error = i32::from_ne_bytes(message.get(..4)?.try_into().ok()?);
        return (error == -(Errno::ENOENT as i32)).then_some(FarEnd::Gone);
    }
    let inode = u32::from_ne_bytes(message.get(68..72)?.try_into().ok()?);
    Some(match (message.get(1)?, inode) {
        // The kernel names the listener if it does not find the connection.
        (&STATE_LISTEN, _) => FarEnd::Gone,
        (_, inode) if inode != 0 => FarEnd::Accepted(inode.into()),
        (&(STATE_ESTABLISHED | STATE_SYN_RECEIVED | STATE_NEW_SYN_RECEIVED), _) => FarEnd::Waiting,
        _ => FarEnd::Gone,
    })
}

/// Asks, and reads pieces of the answer while `goes_on` says so.
fn ask(request: &[u8], found: &mut Vec<Socket>, goes_on: impl Fn(&[Socket]) -> bool) -> Option<()> {
    let netlink = put(request)?;
    let mut piece = vec![0; PIECE];
    loop {
        // The kernel prepares each piece before it returns from the call before.
        let length = recv(netlink.as_raw_fd(), &mut piece, MsgFlags::MSG_DONTWAIT).ok()?;
        if read(&piece[..length], found)? || !goes_on(found) {
            return Some(());
        }
    }
}

fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[..4].copy_from_slice(&(HEADER_LENGTH + REQUEST_BODY).to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = TCP;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&LISTENING.to_ne_bytes());
    bytes
}

/// The same question about the sockets that pass a filter.
fn filtered(request: &[u8; REQUEST], filter: &[u8]) -> Option<Vec<u8>> {
    let attribute = u16::try_from(ATTRIBUTE + filter.len()).ok()?;
    let whole = u32::try_from(REQUEST + ATTRIBUTE + filter.len()).ok()?;
    let mut bytes = request.to_vec();
    bytes[..4].copy_from_slice(&whole.to_ne_bytes());
    bytes.extend(attribute.to_ne_bytes());
    bytes.extend(FILTER.to_ne_bytes());
    bytes.extend(filter);
    Some(bytes)
}

/// Reads the messages of one piece; true after the last one, `None` after an error.
fn read(mut piece: &[u8], found: &mut Vec<Socket>) -> Option<bool> {
    while piece.len() >= HEADER {
        let length = u32::from_ne_bytes(piece[..4].try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(piece[4..6].try_into().ok()?);
        let message = piece.get(HEADER..length)?;
        match kind {
            DONE => return Some(true),
            BY_FAMILY => found.push(parse(message)?),
            _ => return None,
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

/// `struct inet_diag_msg`
fn parse(message: &[u8]) -> Option<Socket> {
    let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
    let address: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    let ip = match *message.first()? {
        AF_INET => IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
        _ => IpAddr::V6(Ipv6Addr::from(address)).to_canonical(),
    };
    let number = |at: usize| Some(u32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?));
    // Of a listener, the bytes to read are the connections that wait for `accept`.
    let (waiting, uid, inode) = (number(56)?, number(64)?, number(68)?.into());
    Some(Socket { address: SocketAddr::new(ip, port), listens: true, uid, inode, waiting })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::supervisor::port::listeners;
    use crate::supervisor::process::procfs::descriptors::{Budget, holds};

    #[test]
    fn the_kernel_names_the_same_listeners_as_proc() {
        let bound = ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0"];
        let listeners: Vec<_> =
            bound.iter().filter_map(|bound| TcpListener::bind(bound).ok()).collect();
        let Some(found) = listening() else { return };
        let in_proc = listeners::listening_in_proc();
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let of = |all: &[Socket]| all.iter().find(|one| one.address == address).copied();
            assert!(of(&found).is_some_and(|found| found.inode > 0), "{address}");
            assert_eq!(of(&found), of(&in_proc));
        }
    }

    #[test]
    fn the_kernel_names_only_the_listeners_at_an_address() {
        let bound = ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "127.9.9.9:0"];
        let listeners: Vec<_> =
            bound.iter().filter_map(|bound| TcpListener::bind(bound).ok()).collect();
        let all: Vec<SocketAddr> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let [v4, v6] = ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        for asked in &all {
            for addresses in [
                &[SocketAddr::new(v4, asked.port())][..],
                &[SocketAddr::new(v4, asked.port()), SocketAddr::new(v6, asked.port())],
                &[
                    SocketAddr::new(v6, 1),
                    SocketAddr::new(v4, 1),
                    SocketAddr::new(v6, asked.port()),
                ],
            ] {
                let Some(found) = listening_at(addresses) else { return };
                let found: Vec<_> = found.iter().map(|one| one.address).collect();
                let serves = addresses.iter().any(|one| one.port() == asked.port())
                    && (asked.ip().is_unspecified() || addresses.contains(asked));
                assert_eq!(found.contains(asked), serves, "{asked} by {addresses:?}: {found:?}");
                let ports: Vec<_> = addresses.iter().map(SocketAddr::port).collect();
                assert!(found.iter().all(|one| ports.contains(&one.port())), "{found:?}");
                assert!(!found.iter().any(|one| one.ip() == all[all.len() - 1].ip()), "{found:?}");
            }
        }
        assert_eq!(shows_any(), Some(true));
        let known = listening().unwrap();
        for address in &all {
            let of = |one: &&Socket| one.address == *address;
            let wanted = known.iter().find(of).map(|one| one.inode);
            // A socket of all addresses serves this one, too.
            let dialled = if address.ip().is_unspecified() && address.is_ipv4() {
                SocketAddr::new(v4, address.port())
            } else if address.ip().is_unspecified() {
                SocketAddr::new(v6, address.port())
            } else {
                *address
            };
            assert_eq!(listener(dialled), wanted, "{address}");
        }
        let port = all[0].port();
        drop(listeners);
        assert!(listener(SocketAddr::new(v4, port)).is_none_or(|inode| {
            known.iter().all(|one| one.inode != inode || one.address.port() != port)
        }));
    }

    #[test]
    fn the_far_end_of_a_connection_is_known_before_and_after_it_is_accepted() {
        for bound in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            let host = if bound == "[::1]:0" { "::1" } else { "127.0.0.1" };
            let Ok(client) = TcpStream::connect((host, port)) else { continue };
            let ends =
                Ends { local: client.local_addr().unwrap(), peer: client.peer_addr().unwrap() };
            let Some(before) = far_end(ends) else { return };
            assert_eq!(before, FarEnd::Waiting, "{bound}");
            let (accepted, _) = listener.accept().unwrap();
            let Some(FarEnd::Accepted(inode)) = far_end(ends) else { panic!("{bound}") };
            let [client_end, own_user] = [
                Ends { local: ends.peer, peer: ends.local },
                Ends { local: ends.local, peer: ends.peer },
            ]
            .map(user_of_far_end);
            let user = Some(nix::unistd::geteuid().as_raw());
            assert_eq!((client_end, own_user), (user, user), "{bound}");
            let us = std::process::id().cast_signed();
            assert!(holds(us, inode, &mut Budget::of_app()).unwrap(), "{bound}");
            drop(accepted);
            assert_eq!(far_end(ends), Some(FarEnd::Gone), "{bound}");
            drop((client, listener));
            assert_eq!(user_of_far_end(ends), None, "{bound}");
            assert_eq!(far_end(ends), Some(FarEnd::Gone), "{bound}");
        }
    }

    #[test]
    fn a_piece_is_read_to_its_last_message_or_refused() {
        let message = |kind: u16, body: &[u8]| {
            let length = u32::try_from(HEADER + body.len()).unwrap();
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
            bytes
        };
        let mut body = vec![0; 72];
        (body[0], body[4], body[5], body[8], body[11]) = (AF_INET, 0x1f, 0x90, 127, 1);
        body[56..60].copy_from_slice(&3_u32.to_ne_bytes());
        body[64..68].copy_from_slice(&7_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&99_u32.to_ne_bytes());
        let one = message(BY_FAMILY, &body);
        let done = message(DONE, &[0; 4]);
        let error = message(2, &[0; 20]);
        let mut found = Vec::new();
        assert_eq!(read(&[one.clone(), one.clone()].concat(), &mut found), Some(false));
        let address = "127.0.0.1:8080".parse().unwrap();
        let socket = Socket { address, listens: true, uid: 7, inode: 99, waiting: 3 };
        assert_eq!(found, [socket; 2]);
        assert_eq!(read(&[one.clone(), done].concat(), &mut found), Some(true));
        assert_eq!(read(&error, &mut found), None, "a kernel without this question");
        assert_eq!(read(&one[..40], &mut found), None, "a message that is cut off");
        assert_eq!(read(&[], &mut found), Some(false));
    }
}
