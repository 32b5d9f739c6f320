//! The TCP sockets of this machine, as the kernel tells them or `/proc/net/tcp` and `/proc/net/tcp6`
//! show them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sock_diag;
pub(super) use super::socket::Socket;

/// `TCP_LISTEN`
const LISTENING: u8 = 0x0a;
/// Bytes per read. Listening sockets come first, so a small block avoids reading thousands of
/// connections.
const BLOCK: usize = 4096;

/// The sockets that listen.
pub(super) fn listening() -> Vec<Socket> {
    sock_diag::listening().unwrap_or_else(listening_in_proc)
}

/// The sockets that serve these addresses; `None` if the kernel shows no sockets at all.
pub(super) fn listening_at(addresses: &[SocketAddr]) -> Option<Vec<Socket>> {
    let Some(found) = sock_diag::listening_at(addresses) else {
        let all = listening();
        return (!all.is_empty()).then_some(all);
    };
    (!found.is_empty() || sock_diag::shows_any() == Some(true)).then_some(found)
}

/// The same as [`listening`], for a kernel that does not answer the question.
pub(super) fn listening_in_proc() -> Vec<Socket> {
    read(|socket| socket.listens)
}

/// Whether connections to an address wait for the program that listens there. `None` if no socket that
/// listens there is visible.
pub(crate) fn has_waiting_connections(dialled: SocketAddr) -> Option<bool> {
    let serving = serving(&listening_at(&[dialled])?, dialled);
    (!serving.is_empty()).then(|| serving.iter().any(|socket| socket.waiting > 0))
}

/// Whether a program that listens on an address is visible here. One on another machine is not, nor
/// any where the kernel shows no sockets.
pub(crate) fn is_visible(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback() && listening_at(&[address]).is_some()
}

/// All sockets.
pub(super) fn all() -> Vec<Socket> {
    read(|_| true)
}

/// The sockets that the kernel hands a connection to `dialled` to: those with the most specific
/// address. There is more than one only if they share the port (`SO_REUSEPORT`).
pub(super) fn serving(listening: &[Socket], dialled: SocketAddr) -> Vec<Socket> {
    let bound_to = |ip: IpAddr| -> Vec<Socket> {
        let wanted = SocketAddr::new(ip, dialled.port());
        listening.iter().filter(|socket| socket.address == wanted).copied().collect()
    };
    let any: &[IpAddr] = match dialled.ip() {
        IpAddr::V4(_) => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        IpAddr::V6(_) => &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let exact = std::iter::once(dialled.ip());
    let mut classes = exact.chain(any.iter().copied()).map(bound_to);
    classes.find(|found| !found.is_empty()).unwrap_or_default()
}

fn read(wanted: fn(&Socket) -> bool) -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let lines = tables.iter().filter_map(|table| File::open(table).ok()).flat_map(|file| {
        let lines = BufReader::with_capacity(BLOCK, file).lines().map_while(Result::ok);
        lines.skip(1).filter_map(|line| parse(&line)).take_while(wanted)
    });
    lines.collect()
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn parse(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (ip, port) = words.next()?.rsplit_once(':')?;
    let address = SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    let state = u8::from_str_radix(words.nth(1)?, 16).ok()?;
    // The kernel shows the connections that wait for `accept` as bytes to read.
    let (_, waiting) = words.next()?.rsplit_once(':')?;
    let waiting = u32::from_str_radix(waiting, 16).ok()?;
    let uid = words.nth(2)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    Some(Socket { address, listens: state == LISTENING, uid, inode, waiting })
}

/// An address is written as words of 32 bits in the byte order of the machine.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word =
        |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(place * 8)?);
            }
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_is_read_in_both_families() {
        let v4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 12345 1 0";
        let v6 = "   1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 0 1";
        let socket = |address: &str, listens, uid, inode| {
            Some(Socket { address: address.parse().unwrap(), listens, uid, inode, waiting: 0 })
        };
        assert_eq!(parse(v4), socket("127.0.0.1:8080", true, 65534, 12345));
        assert_eq!(parse(v6), socket("127.0.0.1:80", false, 1000, 0));
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!((parse(header), parse("")), (None, None));
    }

    #[test]
    fn listeners_of_this_machine_are_found() {
        let us = nix::unistd::geteuid().as_raw();
        for bound in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let address = listener.local_addr().unwrap();
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let of = |found: Vec<Socket>| found.into_iter().find(|one| one.address == address);
            let found = of(listening()).unwrap();
            assert!(found.listens && found.uid == us && found.inode > 0, "{found:?}");
            assert_eq!(of(all()), Some(found));
            drop(listener);
            // Another process may have the port again.
            assert!(of(listening()).is_none_or(|other| other.inode != found.inode));
        }
    }

    #[test]
    fn a_connection_waits_until_it_is_accepted() {
        for bound in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            let host = if bound.starts_with('[') { "::1" } else { "127.0.0.1" };
            let address = SocketAddr::new(host.parse().unwrap(), port);
            assert_eq!(has_waiting_connections(address), Some(false));
            let _client = std::net::TcpStream::connect(address).unwrap();
            assert_eq!(has_waiting_connections(address), Some(true), "{bound}");
            let _accepted = listener.accept().unwrap();
            assert_eq!(has_waiting_connections(address), Some(false), "{bound}");
            drop(listener);
            assert_eq!(has_waiting_connections(address), None, "{bound}");
            assert!(
                is_visible(address) && !is_visible(SocketAddr::new([192, 0, 2, 1].into(), port))
            );
        }
    }

    #[test]
    fn the_most_exact_address_serves() {
        let socket = |address: &str, inode| Socket {
            address: address.parse().unwrap(),
            listens: true,
            uid: 0,
            inode,
            waiting: 0,
        };
        let all = [
            socket("[::]:80", 1),
            socket("0.0.0.0:80", 2),
            socket("127.0.0.1:80", 3),
            socket("127.0.0.1:80", 4),
            socket("[::1]:80", 5),
            socket("127.0.0.1:81", 6),
        ];
        let serve = |among: &[Socket], dialled: &str| -> Vec<u64> {
            let found = serving(among, dialled.parse().unwrap());
            found.iter().map(|socket| socket.inode).collect()
        };
        assert_eq!(serve(&all, "127.0.0.1:80"), [3, 4]);
        assert_eq!(serve(&all, "[::1]:80"), [5]);
        assert_eq!(serve(&all[..2], "127.0.0.1:80"), [2]);
        assert_eq!(serve(&all[..1], "127.0.0.1:80"), [1]);
        assert_eq!(serve(&all[..2], "[::1]:80"), [1]);
        assert_eq!(serve(&all[1..2], "[::1]:80"), [0; 0]);
        assert_eq!(serve(&all, "127.0.0.1:82"), [0; 0]);
    }
}
