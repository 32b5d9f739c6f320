//! The loopback addresses that an app itself is meant to open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{App, Dial, LoopbackPort, Upstream};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Where the route and the probes of an app with a process dial loopback.
#[derive(Debug, Default)]
pub(super) struct Dialled {
    /// The port of the app, on the one of two addresses that belongs to it.
    pub(super) own: Option<LoopbackPort>,
    /// Addresses that the file gives.
    pub(super) given: Vec<SocketAddr>,
}

/// The loopback addresses that the route and the probes of an app with a process dial. An upstream
/// on another machine and a unix socket are not included.
pub(super) fn dialled(app: &App) -> Dialled {
    if app.run.is_none() {
        return Dialled::default();
    }
    let routed = app.route.iter().flat_map(|route| &route.upstreams);
    let probed = app.ready.iter().chain(&app.live).flat_map(|probe| probe.kind.asked());
    let all = routed.chain(probed);
    let mut given: Vec<SocketAddr> = all.clone().flat_map(on_loopback).collect();
    given.sort();
    given.dedup();
    let mut own = all.filter_map(|upstream| match &upstream.dial {
        Dial::Loopback(own) => Some(own.clone()),
        Dial::Tcp(..) | Dial::Unix(_) => None,
    });
    Dialled { own: own.next(), given }
}

/// The addresses that must be free before the app is started: the dialled addresses with the app's
/// `port` (on 127.0.0.1 and `::1`, because the app may listen on either), or `127.0.0.1` if the file
/// gives a port that nothing dials. An `upstream` with another port is not included, because another
/// program may serve it already.
pub(crate) fn claimed(app: &App) -> Vec<SocketAddr> {
    let Some(port) = app.port.filter(|_| app.run.is_some()) else { return Vec::new() };
    let Dialled { own, given: mut found } = dialled(app);
    found.extend(own.iter().flat_map(LoopbackPort::candidates));
    found.retain(|address| address.port() == port);
    if found.is_empty() && app.port_is_given {
        found.push((V4, port).into());
    }
    found
}

/// The port of an address.
pub(super) fn port(upstream: &Upstream) -> Option<u16> {
    match &upstream.dial {
        Dial::Loopback(own) => Some(own.address().port()),
        Dial::Tcp(_, port) => Some(*port),
        Dial::Unix(_) => None,
    }
}

fn on_loopback(upstream: &Upstream) -> Vec<SocketAddr> {
    let Dial::Tcp(host, port) = &upstream.dial else { return Vec::new() };
    let local = |name: &str| name == "localhost" || name.ends_with(".localhost");
    let ips: &[IpAddr] = match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        // A connection to the unspecified address goes to loopback.
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => &[V4],
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => &[V6],
        Ok(ip) if ip.is_loopback() => return vec![(ip, *port).into()],
        Err(_) if local(&host.to_ascii_lowercase()) => &[V4, V6],
        Ok(_) | Err(_) => &[],
    };
    ips.iter().map(|ip| (*ip, *port).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProbeKind;
    use crate::config::ownership::app_socket::UnixSocket;
    use crate::supervisor::sample_apps::{app, probe};

    fn at(host: &str, port: u16) -> Upstream {
        Upstream::new(Dial::Tcp(host.into(), port))
    }

    fn shown(found: &[SocketAddr]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    fn probed(hosts: &[Upstream]) -> App {
        App { ready: Some(probe(ProbeKind::Tcp(hosts.to_vec()))), ..app("a", &["true"]) }
    }

    #[test]
    fn only_loopback_is_the_apps_own() {
        for (host, expected) in [
            ("127.0.0.1", &["127.0.0.1:80"][..]),
            ("127.9.9.9", &["127.9.9.9:80"]),
            ("::1", &["[::1]:80"]),
            ("::ffff:127.0.0.1", &["127.0.0.1:80"]),
            ("0.0.0.0", &["127.0.0.1:80"]),
            ("::", &["[::1]:80"]),
            ("LocalHost", &["127.0.0.1:80", "[::1]:80"]),
            ("app.localhost", &["127.0.0.1:80", "[::1]:80"]),
            ("10.0.0.7", &[]),
            ("example.org", &[]),
        ] {
            assert_eq!(shown(&dialled(&probed(&[at(host, 80)])).given), expected, "{host}");
        }
        let socket = Upstream { dial: Dial::Unix(UnixSocket::new("/x".into())), ..at("", 0) };
        assert!(dialled(&probed(&[socket])).given.is_empty());
        let elsewhere = App { run: None, ..probed(&[at("127.0.0.1", 80)]) };
        assert!(dialled(&elsewhere).given.is_empty());
    }

    #[test]
    fn a_port_is_claimed_that_is_dialled_or_given() {
        let with = |port, given, app: App| App { port: Some(port), port_is_given: given, ..app };
        let claimed = |app: &App| shown(&claimed(app));
        let plain = || app("a", &["true"]);
        assert!(claimed(&plain()).is_empty());
        assert!(claimed(&with(80, false, plain())).is_empty(), "chosen, and perhaps never used");
        assert_eq!(claimed(&with(80, true, plain())), ["127.0.0.1:80"]);
        let both = probed(&[at("127.0.0.1", 80), at("127.0.0.1", 81)]);
        assert_eq!(claimed(&with(80, false, both)), ["127.0.0.1:80"]);
        assert_eq!(claimed(&with(80, false, probed(&[at("::1", 80)]))), ["[::1]:80"]);
        let own = Upstream { dial: Dial::Loopback(LoopbackPort::new(80)), ..at("", 0) };
        assert_eq!(claimed(&with(80, false, probed(&[own]))), ["127.0.0.1:80", "[::1]:80"]);
    }
}
