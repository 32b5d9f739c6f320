//! The source of a request: the peer of the connection, or the client that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The source of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestSource {
    /// The rightmost address that is not a trusted proxy; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// `X-Forwarded-For` for the app: the accepted part of the received list, and the peer.
    pub forwarded_for: Option<HeaderValue>,
    /// Whether the browser uses https, according to a trusted proxy; `None` without its statement.
    pub secure: Option<bool>,
    /// The peer is a trusted proxy.
    pub trusted: bool,
}

/// The other end of a client connection: a browser, or a proxy in front of the appliance.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    address: Option<IpAddr>,
    trusted: bool,
    /// The source of every request without a trusted proxy. Most requests need only this one, so it
    /// is prepared once for each connection.
    direct: RequestSource,
}

impl Peer {
    /// The peer of an accepted connection; `address` is `None` on a unix socket, `trusted` are the
    /// networks of `trusted_proxies`.
    pub(crate) fn new(address: Option<SocketAddr>, trusted: &[IpNet]) -> Self {
        let address = address.map(|address| address.ip().to_canonical());
        let direct = RequestSource {
            client: address,
            // `unknown` is RFC 7239's word for a missing address. The header must never be missing:
            // Keycloak lets a client without the header create the first administrator.
            forwarded_for: address
                .and_then(|ip| HeaderValue::from_str(&ip.to_string()).ok())
                .or(Some(HeaderValue::from_static("unknown"))),
            secure: None,
            trusted: false,
        };
        let trusted = address.is_some_and(|ip| is_trusted(ip, trusted));
        Self { address, trusted, direct }
    }

    /// The address of the peer.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The source of a request. Forwarding headers count only from a trusted proxy.
    pub(crate) fn source_of(&self, headers: &HeaderMap, trusted: &[IpNet]) -> RequestSource {
        let Some(address) = self.address.filter(|_| self.trusted) else {
            return self.direct.clone();
        };
        let mut hops = forwarded_hops(headers);
        hops.push(address);
        let client =
            hops.iter().rev().copied().find(|ip| !is_trusted(*ip, trusted)).unwrap_or(hops[0]);
        let list: Vec<String> = hops.iter().map(IpAddr::to_string).collect();
        RequestSource {
            client: Some(client),
            forwarded_for: HeaderValue::from_str(&list.join(", ")).ok(),
            secure: proto(headers),
            trusted: true,
        }
    }
}

/// The addresses of `X-Forwarded-For`, from the right up to the first element that is not an address.
fn forwarded_hops(headers: &HeaderMap) -> Vec<IpAddr> {
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops: Vec<IpAddr> = lines
        .iter()
        .flat_map(|line| line.split(','))
        .rev()
        .map_while(|hop| address(hop.trim()))
        .collect();
    hops.reverse();
    hops
}

fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
}

/// Whether `X-Forwarded-Proto` is https.
fn proto(headers: &HeaderMap) -> Option<bool> {
    match headers.get(FORWARDED_PROTO)?.as_bytes() {
        b"https" => Some(true),
        b"http" => Some(false),
        _ => None,
    }
}

fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, list: &[&'static str]) -> (String, String) {
        let trusted: Vec<IpNet> =
            ["127.0.0.0/8", "10.0.0.0/8"].iter().map(|net| net.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in list {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let peer = Peer::new(Some(format!("{peer}:9").parse().unwrap()), &trusted);
        let origin = peer.source_of(&headers, &trusted);
        let text = origin.forwarded_for.unwrap();
        (origin.client.unwrap().to_string(), text.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_address() {
        for (peer, list, client, sent) in [
            ("1.1.1.1", vec!["6.6.6.6"], "1.1.1.1", "1.1.1.1"),
            ("127.0.0.1", vec![], "127.0.0.1", "127.0.0.1"),
            (
                "127.0.0.1",
                vec!["6.6.6.6, 9.9.9.9, 10.1.1.1"],
                "9.9.9.9",
                "6.6.6.6, 9.9.9.9, 10.1.1.1, 127.0.0.1",
            ),
            ("127.0.0.1", vec!["6.6.6.6", "9.9.9.9"], "9.9.9.9", "6.6.6.6, 9.9.9.9, 127.0.0.1"),
            ("127.0.0.1", vec!["1.2.3.4, <script>"], "127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", vec!["<script>, 1.2.3.4:55"], "1.2.3.4", "1.2.3.4, 127.0.0.1"),
            ("127.0.0.1", vec![",,,"], "127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", vec!["2001:db8::1"], "2001:db8::1", "2001:db8::1, 127.0.0.1"),
            ("127.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1", "2001:db8::1, 127.0.0.1"),
            ("127.0.0.1", vec!["[2001:db8::1]:5"], "2001:db8::1", "2001:db8::1, 127.0.0.1"),
        ] {
            assert_eq!(origin(peer, &list), (client.into(), sent.into()), "{peer} {list:?}");
        }
    }
}
