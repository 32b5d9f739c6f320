//! The `Host` of a request: a name or an address, with an optional port (RFC 9110 section 7.2).

use std::fmt;
use std::net::Ipv6Addr;

/// A valid `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    /// The name or address as sent, without the port; an IPv6 address keeps its brackets.
    pub name: &'a str,
    /// The port, if the header has one.
    pub port: Option<u16>,
}

impl Host<'_> {
    /// The host of a request of HTTP/1.0 without a `Host`. No app has this host.
    pub(crate) const MISSING: Self = Self { name: "", port: None };

    /// Whether `authority` is the same host, with the same port.
    pub(crate) fn is(&self, authority: &str) -> bool {
        parse_host(authority).is_some_and(|other| {
            other.port == self.port && other.name.eq_ignore_ascii_case(self.name)
        })
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Parses `name`, `name:port`, `[v6]` or `[v6]:port`; `None` if `text` is none of them.
pub(crate) fn parse_host(text: &str) -> Option<Host<'_>> {
    let (name, rest) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        text[1..end - 1].parse::<Ipv6Addr>().ok()?;
        text.split_at(end)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let good = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !good {
            return None;
        }
        (name, rest)
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        // A port has one spelling here. RFC 3986 section 6.2.3 does not normalise leading zeros, so an
        // app could take `08080` for another authority than the proxy.
        Some(digits) if !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        _ => return None,
    };
    Some(Host { name, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_with_an_optional_port_are_valid() {
        for (text, name, port) in [
            ("localhost", "localhost", None),
            ("LocalHost:8080", "LocalHost", Some(8080)),
            ("[::1]:80", "[::1]", Some(80)),
            ("a_b.example", "a_b.example", None),
        ] {
            assert_eq!(parse_host(text), Some(Host { name, port }), "{text}");
        }
        let long = "a".repeat(300);
        for bad in [
            "",
            "a b",
            "a/x",
            "u@a",
            "a,b",
            "a:99999",
            "a:x",
            "[::1",
            "a:80:80",
            "http://a",
            "a?x",
            "a:",
            "a:-1",
            "[zz]",
            "a:+1",
            "a:080",
            "a:00",
            "[::1]:080",
            "<b>",
            long.as_str(),
        ] {
            assert_eq!(parse_host(bad), None, "{bad}");
        }
    }
}
