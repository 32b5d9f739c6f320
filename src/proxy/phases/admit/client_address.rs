//! The source of a request: the peer of the connection, or the client that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST, HeaderMap};
use http::uri::Authority;
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
    /// A proxy has named it by the PROXY protocol.
    relayed: bool,
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
        Self { address, trusted, relayed: false, direct }
    }

    /// The same for a client that a proxy has named: its address says nothing about this machine.
    pub(crate) fn relayed(self) -> Self {
        Self { relayed: true, ..self }
    }

    /// Whether it is one of `trusted_proxies`.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The address of the peer.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether the client itself runs on this machine. A proxy or a relay on this machine forwards the
    /// requests of clients elsewhere, whether `trusted_proxies` has it or not. The headers of a proxy
    /// show that, or a `Host` that is not a name of this machine's loopback.
    pub(crate) fn is_local(&self, headers: &HeaderMap) -> bool {
        self.address.is_some_and(|address| address.is_loopback())
            && !self.trusted
            && !self.relayed
            && !headers.keys().any(is_of_a_proxy)
            && headers.get_all(HOST).iter().all(names_loopback)
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

/// Whether the browser uses https, by `X-Forwarded-Proto`, or without it by the `proto` of `Forwarded`.
/// `None` if several proxies do not agree: then the browser's scheme is not known.
fn proto(headers: &HeaderMap) -> Option<bool> {
    if headers.contains_key(FORWARDED_PROTO) {
        return agreed(elements(headers, &FORWARDED_PROTO));
    }
    let parts = elements(headers, &FORWARDED).flat_map(|hop| hop.split(';'));
    agreed(parts.filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"'))
    }))
}

/// The elements of a header that is a list.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether all schemes are https, or none.
fn agreed<'a>(mut schemes: impl Iterator<Item = &'a str>) -> Option<bool> {
    let is_https = |scheme: &str| match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Some(true),
        _ if scheme.eq_ignore_ascii_case("http") => Some(false),
        _ => None,
    };
    let first = is_https(schemes.next()?)?;
    schemes.all(|scheme| is_https(scheme) == Some(first)).then_some(first)
}

/// Whether proxies add this header.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    const NAMES: [&str; 7] = [
        "via",
        "forwarded",
        "client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "x-envoy-external-address",
    ];
    const FAMILIES: [&str; 5] =
        ["x-forwarded", "x-real-", "x-client-ip", "x-cluster-client-ip", "x-original-"];
    let name = name.as_str();
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether a `Host` names this machine's loopback.
fn names_loopback(host: &HeaderValue) -> bool {
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = host.host().to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

/// Whether an address is one of `trusted_proxies`.
pub(crate) fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
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
    fn only_a_client_on_this_machine_is_local() {
        let proxy: IpNet = "127.0.0.1/32".parse().unwrap();
        let forwarded = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static("::1"))]);
        for (address, trusted, headers, wanted) in [
            ("127.0.0.1:9", &[][..], HeaderMap::new(), true),
            ("127.1.2.3:9", &[], HeaderMap::new(), true),
            ("[::1]:9", &[], HeaderMap::new(), true),
            ("[::ffff:127.0.0.1]:9", &[], HeaderMap::new(), true),
            ("10.0.0.1:9", &[], HeaderMap::new(), false),
            ("127.0.0.1:9", &[proxy], HeaderMap::new(), false),
            ("127.0.0.1:9", &[proxy], forwarded.clone(), false),
            ("127.0.0.1:9", &[], forwarded, false),
        ] {
            let peer = Peer::new(Some(address.parse().unwrap()), trusted);
            assert_eq!(peer.is_local(&headers), wanted, "{address} {trusted:?} {headers:?}");
        }
        assert!(!Peer::new(None, &[]).is_local(&HeaderMap::new()));
        let named = Peer::new(Some("127.0.0.1:9".parse().unwrap()), &[]).relayed();
        assert!(!named.is_local(&HeaderMap::new()));
    }

    #[test]
    fn a_request_that_was_relayed_is_not_local() {
        let peer = Peer::new(Some("127.0.0.1:9".parse().unwrap()), &[]);
        let is_local = |lines: &[(&'static str, &'static str)]| {
            let headers = lines.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            peer.is_local(&headers.collect())
        };
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "apps.localhost:8080",
        ] {
            assert!(is_local(&[("host", host), ("user-agent", "curl/8")]), "{host}");
        }
        for host in [
            "apps.example.org",
            "apps.example.org:8080",
            "localhost.example.org",
            "notlocalhost",
            "10.0.0.1",
            "[2001:db8::1]",
            "",
            "a b",
        ] {
            assert!(!is_local(&[("host", host)]), "{host}");
        }
        assert!(!is_local(&[("host", "localhost"), ("host", "apps.example.org")]));
        for name in ["forwarded", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
            .into_iter()
            .chain(["cf-connecting-ip", "true-client-ip", "x-client-ip", "x-forwarded-server"])
        {
            assert!(!is_local(&[("host", "localhost"), (name, "1.2.3.4")]), "{name}");
        }
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
    #[test]
    fn the_scheme_is_known_if_all_proxies_agree() {
        let (one, two) = (FORWARDED_PROTO, FORWARDED);
        for (lines, wanted) in [
            (vec![], None),
            (vec![(&one, "https")], Some(true)),
            (vec![(&one, "http")], Some(false)),
            (vec![(&one, "HTTP, http")], Some(false)),
            (vec![(&one, "https, http")], None),
            (vec![(&one, "https"), (&one, "http")], None),
            (vec![(&one, "wss")], None),
            (vec![(&one, "")], None),
            (vec![(&two, "for=1.2.3.4;Proto=http;host=a")], Some(false)),
            (vec![(&two, "for=\"[::1]\"; proto=\"https\"")], Some(true)),
            (vec![(&two, "proto=https, for=10.0.0.1;proto=http")], None),
            (vec![(&two, "for=1.2.3.4")], None),
            (vec![(&one, "https"), (&two, "proto=http")], Some(true)),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(proto(&headers), wanted, "{lines:?}");
        }
    }
}
