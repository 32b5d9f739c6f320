//! A TCP socket of this machine, as the kernel shows it.

use std::net::SocketAddr;

/// A socket that is bound to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    /// The bound address. An IPv4-mapped IPv6 address is shown as IPv4.
    pub(super) address: SocketAddr,
    pub(super) listens: bool,
    /// The user that created the socket.
    pub(super) uid: u32,
    /// 0 if no process holds the socket any more.
    pub(super) inode: u64,
    /// Connections that the program behind a listening socket has not accepted yet.
    pub(super) waiting: u32,
}
