//! The ways by which clients come in, and which of them a configuration leaves open.

use std::net::SocketAddr;
use std::rc::Rc;

use super::entrance::{Entrance, Protocol, Speaks};
use super::overlap::includes;
use crate::config::{Listen, Server};

/// The ways that a configuration opens.
#[derive(Debug)]
pub(crate) struct Ways {
    /// All addresses for clients.
    listen: Vec<Listen>,
    /// The address that redirects every request to `public_url`.
    redirect: Option<SocketAddr>,
    /// The TCP addresses speak TLS, except that of `redirect`.
    tls: bool,
    /// Clients may agree on HTTP/2 in the TLS handshake.
    http2: bool,
    /// Clients without TLS may begin with HTTP/2.
    pub(crate) h2c: bool,
}

/// The way by which a client has come in, as far as a reload may shut it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    at: Rc<Listen>,
    carrier: Carrier,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Clear,
    Tls,
    Redirect,
}

impl Ways {
    /// The ways of the configuration. `tls`: it has certificates.
    pub(crate) fn of(server: &Server, tls: bool) -> Self {
        Self {
            listen: server.addresses(),
            redirect: server.redirect_http,
            tls,
            http2: server.http2,
            h2c: server.h2c,
        }
    }

    /// HTTP/1 without TLS at one address.
    #[cfg(test)]
    pub(super) fn clear(at: Listen) -> Self {
        Self { listen: vec![at], redirect: None, tls: false, http2: false, h2c: false }
    }

    /// What the address speaks.
    pub(crate) fn speaks(&self, address: &Listen) -> Speaks {
        Speaks::at(address, self.redirect)
    }

    /// Whether clients may still come in this way.
    pub(crate) fn include(&self, way: &Way) -> bool {
        let Way { at, carrier, protocol } = way;
        // The socket of a former address stays in use where a new one includes it.
        let is_open = self.listen.iter().any(|one| *one == **at || includes(one, at));
        let is_http2 = *protocol == Protocol::Http2;
        let speaks = match carrier {
            Carrier::Redirect => Speaks::Redirects,
            Carrier::Clear | Carrier::Tls => Speaks::Http,
        };
        let carries = match carrier {
            Carrier::Redirect => true,
            // Unix sockets speak no TLS.
            Carrier::Clear => (!self.tls || at.tcp().is_none()) && (!is_http2 || self.h2c),
            Carrier::Tls => self.tls && (!is_http2 || self.http2),
        };
        is_open && self.speaks(at) == speaks && carries
    }
}

impl Way {
    /// The way of a connection to the address `at`.
    pub(crate) fn new(at: Rc<Listen>, entrance: &Entrance, protocol: Protocol) -> Self {
        let carrier = match entrance {
            Entrance::Clear => Carrier::Clear,
            Entrance::Tls { .. } => Carrier::Tls,
            Entrance::Redirect => Carrier::Redirect,
        };
        Self { at, carrier, protocol }
    }
}

#[cfg(test)]
mod tests {
    use super::Protocol::{Http1, Http2};
    use super::*;

    const TLS: Entrance = Entrance::Tls { server_name: None };

    fn at(text: &str) -> Listen {
        match text.strip_prefix("unix:") {
            Some(path) => Listen::Unix(path.into()),
            None => Listen::Tcp(text.parse().unwrap()),
        }
    }

    /// `switches`: what of `tls`, `http2` and `h2c` is on.
    fn ways(listen: &[&str], redirect: Option<&str>, switches: &str) -> Ways {
        let is_on = |name| switches.split(' ').any(|one| one == name);
        Ways {
            listen: listen.iter().copied().chain(redirect).map(at).collect(),
            redirect: redirect.map(|address| address.parse().unwrap()),
            tls: is_on("tls"),
            http2: is_on("http2"),
            h2c: is_on("h2c"),
        }
    }

    #[test]
    fn a_way_is_open_as_long_as_a_new_client_could_come_in_by_it() {
        let (all, home, sock) = ("0.0.0.0:80", "127.0.0.1:80", "unix:/run/front");
        for (from, entrance, protocol, listen, redirect, switches, wanted) in [
            (home, &Entrance::Clear, Http1, &[home][..], None, "", true),
            (home, &Entrance::Clear, Http1, &[home, sock], None, "h2c http2", true),
            // The address has gone, or a wider one has taken its place.
            (home, &Entrance::Clear, Http1, &["127.0.0.1:81"], None, "", false),
            (all, &Entrance::Clear, Http1, &[home], None, "", false),
            (home, &Entrance::Clear, Http1, &[all], None, "", true),
            (sock, &Entrance::Clear, Http1, &[home], None, "", false),
            // TLS was switched on or off.
            (home, &Entrance::Clear, Http1, &[home], None, "tls", false),
            (sock, &Entrance::Clear, Http1, &[sock], None, "tls", true),
            (home, &TLS, Http1, &[home], None, "", false),
            (home, &TLS, Http1, &[home], None, "tls", true),
            (all, &TLS, Http1, &[home], None, "tls", false),
            // HTTP/2 was switched off.
            (home, &Entrance::Clear, Http2, &[home], None, "h2c", true),
            (home, &Entrance::Clear, Http2, &[home], None, "http2", false),
            (home, &Entrance::Clear, Http2, &[home], None, "tls h2c", false),
            (sock, &Entrance::Clear, Http2, &[sock], None, "tls h2c", true),
            (home, &TLS, Http2, &[home], None, "tls http2", true),
            (home, &TLS, Http2, &[home], None, "tls h2c", false),
            // The address redirects only, or not any more.
            (home, &Entrance::Clear, Http1, &[sock], Some(home), "", false),
            (home, &Entrance::Redirect, Http1, &[sock], Some(home), "tls", true),
            (home, &Entrance::Redirect, Http1, &[sock], Some(all), "tls", true),
            (home, &Entrance::Redirect, Http1, &[home], None, "tls", false),
            (home, &Entrance::Redirect, Http1, &[home], None, "", false),
            (home, &Entrance::Redirect, Http1, &[sock], None, "tls", false),
        ] {
            let way = Way::new(Rc::new(at(from)), entrance, protocol);
            let ways = ways(listen, redirect, switches);
            assert_eq!(ways.include(&way), wanted, "{way:?} {ways:?}");
        }
    }
}
