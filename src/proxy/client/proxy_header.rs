//! The header of the PROXY protocol, versions 1 and 2, in which a proxy of TCP connections names the
//! client ("The PROXY protocol", haproxy.org, sections 2.1 and 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, with its end.
pub(super) const LONGEST_LINE: usize = 107;
/// The length of what both versions have at least.
pub(super) const SHORTEST: usize = 12;
/// The fixed part of version 2.
pub(super) const FIXED: usize = 16;
/// The longest rest of version 2: addresses, and what proxies add about TLS or their network.
pub(super) const LONGEST_REST: usize = 1024;

const SIGNATURE: &[u8; SHORTEST] = b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY ";

/// Whom a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// The client of the proxy.
    Client(SocketAddr),
    /// The proxy itself, as for a health check, or a client without an address.
    Proxy,
}

/// The version of a header that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection begins without a PROXY protocol header")]
    Missing,
    #[error("the PROXY protocol header is too long")]
    TooLong,
    #[error("the PROXY protocol header is not valid")]
    Invalid,
    #[error("the PROXY protocol header is not complete in time")]
    Late,
}

/// The version by the first bytes, at most [`SHORTEST`]; `None` if more are needed.
pub(super) fn version(first: &[u8]) -> Result<Option<Version>, Fault> {
    let is_begin = |of: &[u8]| first.iter().zip(of).all(|(one, other)| one == other);
    match (is_begin(LINE), is_begin(SIGNATURE)) {
        (true, _) if first.len() >= LINE.len() => Ok(Some(Version::One)),
        (_, true) if first.len() >= SIGNATURE.len() => Ok(Some(Version::Two)),
        (false, false) => Err(Fault::Missing),
        _ => Ok(None),
    }
}

/// Reads a line of version 1, with its end.
pub(super) fn read_line(line: &[u8]) -> Result<Announced, Fault> {
    let line = line.strip_suffix(b"\r\n").and_then(|line| line.strip_prefix(LINE));
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or(Fault::Invalid)?;
    let mut words = line.split(' ');
    let words = [(); 6].map(|()| words.next());
    let client = match words {
        // What follows is to be ignored.
        [Some("UNKNOWN"), ..] => return Ok(Announced::Proxy),
        [Some("TCP4"), Some(client), Some(own), Some(port), Some(own_port), None] => {
            let (client, own) = (client.parse::<Ipv4Addr>(), own.parse::<Ipv4Addr>());
            client.ok().zip(own.ok()).map(|(client, _)| (client.into(), port, own_port))
        }
        [Some("TCP6"), Some(client), Some(own), Some(port), Some(own_port), None] => {
            let (client, own) = (client.parse::<Ipv6Addr>(), own.parse::<Ipv6Addr>());
            client.ok().zip(own.ok()).map(|(client, _)| (client.into(), port, own_port))
        }
        _ => None,
    };
    let (client, port, own_port): (IpAddr, _, _) = client.ok_or(Fault::Invalid)?;
    let (port, _) = read_port(port).zip(read_port(own_port)).ok_or(Fault::Invalid)?;
    Ok(Announced::Client(SocketAddr::new(client, port)))
}

fn read_port(text: &str) -> Option<u16> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// The length of the rest of a header of version 2.
pub(super) fn rest_length(fixed: &[u8; FIXED]) -> Result<usize, Fault> {
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length <= LONGEST_REST { Ok(length) } else { Err(Fault::TooLong) }
}

/// Reads a header of version 2. What follows the addresses is left out.
pub(super) fn read_binary(fixed: &[u8; FIXED], rest: &[u8]) -> Result<Announced, Fault> {
    let (version, command, family) = (fixed[12] >> 4, fixed[12] & 0x0f, fixed[13]);
    let client: (IpAddr, Option<&[u8; 2]>) = match (version, command, family) {
        // The proxy for itself; for a client without an address, or with that of a unix socket.
        (2, 0, _) | (2, 1, 0x00 | 0x31) => return Ok(Announced::Proxy),
        (2, 1, 0x11) => {
            let [addresses, ports] = split(rest, 8)?;
            let client = addresses.first_chunk::<4>().ok_or(Fault::Invalid)?;
            (Ipv4Addr::from(*client).into(), ports.first_chunk())
        }
        (2, 1, 0x21) => {
            let [addresses, ports] = split(rest, 32)?;
            let client = addresses.first_chunk::<16>().ok_or(Fault::Invalid)?;
            (Ipv6Addr::from(*client).into(), ports.first_chunk())
        }
        _ => return Err(Fault::Invalid),
    };
    let port = client.1.ok_or(Fault::Invalid)?;
    Ok(Announced::Client(SocketAddr::new(client.0, u16::from_be_bytes(*port))))
}

/// The addresses of both ends, and their ports.
fn split(rest: &[u8], addresses: usize) -> Result<[&[u8]; 2], Fault> {
    let (addresses, ports) = rest.split_at_checked(addresses).ok_or(Fault::Invalid)?;
    let ports = ports.get(..4).ok_or(Fault::Invalid)?;
    Ok([addresses, ports])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the cases have faults, too")]
    fn client(text: &str) -> Result<Announced, Fault> {
        Ok(Announced::Client(text.parse().unwrap()))
    }

    #[test]
    fn the_first_bytes_tell_the_version() {
        for (first, wanted) in [
            (&b""[..], Ok(None)),
            (b"P", Ok(None)),
            (b"PROXY", Ok(None)),
            (b"PROXY ", Ok(Some(Version::One))),
            (b"PROXY TCP4 1", Ok(Some(Version::One))),
            (b"\r\n\r\n", Ok(None)),
            (b"\r\n\r\n\0\r\nQUIT", Ok(None)),
            (b"\r\n\r\n\0\r\nQUIT\n", Ok(Some(Version::Two))),
            (b"POST / HTTP/", Err(Fault::Missing)),
            (b"PROXY\r\n", Err(Fault::Missing)),
            (b"proxy tcp4", Err(Fault::Missing)),
            (b"GET", Err(Fault::Missing)),
            (b"\x16\x03\x01", Err(Fault::Missing)),
            (b"\r\n\r\nG", Err(Fault::Missing)),
        ] {
            assert_eq!(version(first), wanted, "{first:?}");
        }
    }

    #[test]
    fn a_line_names_the_client() {
        for (line, wanted) in [
            ("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", client("203.0.113.7:4711")),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 0 65535\r\n", client("203.0.113.7:0")),
            ("PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", client("[2001:db8::7]:4711")),
            ("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", client("[::ffff:203.0.113.7]:1")),
            ("PROXY UNKNOWN\r\n", Ok(Announced::Proxy)),
            ("PROXY UNKNOWN ffff::1 whatever 1 2\r\n", Ok(Announced::Proxy)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 x\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4  203.0.113.7 10.0.0.1 4711 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.07 10.0.0.1 4711 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 ::1 4711 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 2001:db8::7 ::1 4711 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n", Err(Fault::Invalid)),
            ("PROXY TCP4 203.0.113.7 10.0.0.1 01 443\r\n", Err(Fault::Invalid)),
            ("PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n", Err(Fault::Invalid)),
            ("PROXY \r\n", Err(Fault::Invalid)),
            ("PROXY UNKNOWNX\r\n", Err(Fault::Invalid)),
        ] {
            assert_eq!(read_line(line.as_bytes()), wanted, "{line:?}");
        }
        assert_eq!(read_line(b"PROXY UNKNOWN \xff\r\n"), Err(Fault::Invalid));
    }

    #[test]
    fn a_binary_header_names_the_client() {
        let four = [[203, 0, 113, 7, 10, 0, 0, 1].as_slice(), &[0x12, 0x67, 1, 0xbb]].concat();
        let six = [[0xff; 16].as_slice(), &[0; 16], &[0, 9, 1, 0xbb]].concat();
        let more = [four.as_slice(), &[4, 0, 3, 1, 2, 3]].concat();
        let unix = vec![0; 216];
        for (kind, rest, wanted) in [
            ([0x21, 0x11], &four, client("203.0.113.7:4711")),
            ([0x21, 0x11], &more, client("203.0.113.7:4711")),
            ([0x21, 0x21], &six, client("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9")),
            ([0x20, 0x11], &four, Ok(Announced::Proxy)),
            ([0x20, 0x00], &Vec::new(), Ok(Announced::Proxy)),
            ([0x21, 0x00], &Vec::new(), Ok(Announced::Proxy)),
            ([0x21, 0x31], &unix, Ok(Announced::Proxy)),
            ([0x21, 0x11], &four[..11].to_vec(), Err(Fault::Invalid)),
            ([0x21, 0x21], &four, Err(Fault::Invalid)),
            ([0x21, 0x12], &four, Err(Fault::Invalid)),
            ([0x22, 0x11], &four, Err(Fault::Invalid)),
            ([0x11, 0x11], &four, Err(Fault::Invalid)),
            ([0x31, 0x11], &four, Err(Fault::Invalid)),
        ] {
            let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
            let fixed = [SIGNATURE.as_slice(), &kind, &length].concat();
            let fixed = fixed.first_chunk().unwrap();
            assert_eq!(rest_length(fixed), Ok(rest.len()));
            assert_eq!(read_binary(fixed, rest), wanted, "{kind:x?} {rest:?}");
        }
        for (length, wanted) in [(1024, Ok(1024)), (1025, Err(Fault::TooLong))] {
            let length = u16::to_be_bytes(length);
            let fixed = [SIGNATURE.as_slice(), &[0x21, 0x11], &length].concat();
            assert_eq!(rest_length(fixed.first_chunk().unwrap()), wanted);
        }
    }
}
