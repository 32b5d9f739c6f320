//! Direct calls to an issuer on this machine, such as one of the appliance's own apps.
//!
//! Such an issuer is behind the appliance's own proxy, which does not open before the issuer is
//! ready. Its URLs stay the public ones, but calls go to its address directly, in plain HTTP;
//! `Host` and `X-Forwarded-*` tell the issuer which URL was requested.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};
use url::{Host, Url};

use crate::auth::setup_error::SetupError;
use crate::config::ownership::app_socket::UnixSocket;
use crate::config::{Dial, LoopbackPort};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Sends calls for the issuer's public authority to another address.
#[derive(Debug)]
pub(super) struct Loopback {
    /// Host and port of the issuer URL.
    public: Authority,
    /// Host and port that are dialled instead.
    dialled: Dialled,
    /// Dialled instead of an address.
    socket: Option<UnixSocket>,
}

#[derive(Debug)]
enum Dialled {
    Fixed(Authority),
    /// An app that runs here, on the address that belongs to it.
    App(LoopbackPort),
}

impl Dialled {
    fn authority(&self) -> Option<Authority> {
        match self {
            Self::Fixed(authority) => Some(authority.clone()),
            Self::App(own) => own.address().to_string().parse().ok(),
        }
    }
}

/// Where an issuer is dialled that is on this machine and has no TLS: the program that accepts a
/// connection there proves nothing by itself. Under TLS its certificate does.
pub(super) fn on_this_machine(issuer: &str) -> Option<Dial> {
    let url = Url::parse(issuer).ok().filter(|url| url.scheme() == "http")?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let port = url.port_or_known_default()?;
    is_here.then(|| Dial::Tcp(url.host_str().unwrap_or_default().to_owned(), port))
}

impl Loopback {
    pub(super) fn new(issuer: &str, dial: &Dial) -> Result<Self, SetupError> {
        let bad = |address: &str| {
            let reason = format!("[oidc] {address} is not a usable issuer address");
            SetupError::new(&["oidc", "issuer"], reason)
        };
        let uri: Uri = issuer.parse().map_err(|_| bad(issuer))?;
        let public = uri.authority().cloned().ok_or_else(|| bad(issuer))?;
        let (dialled, socket) = match dial {
            Dial::Loopback(own) => {
                return Ok(Self { public, dialled: Dialled::App(own.clone()), socket: None });
            }
            Dial::Tcp(host, port) => (format!("{host}:{port}"), None),
            Dial::Unix(socket) => ("localhost".to_owned(), Some(socket.clone())),
        };
        let dialled = dialled.parse().map_err(|_| bad(&dialled))?;
        Ok(Self { public, dialled: Dialled::Fixed(dialled), socket })
    }

    /// The unix socket of the app.
    pub(super) fn socket(&self) -> Option<&UnixSocket> {
        self.socket.as_ref()
    }

    /// Whether the request goes to the app.
    pub(super) fn is_for(&self, request: &Request<Vec<u8>>) -> bool {
        request.uri().authority() == Some(&self.public)
    }

    /// Points a request for the public authority at the address that is dialled; leaves other
    /// requests unchanged.
    pub(super) fn reroute(&self, mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
        if !self.is_for(&request) {
            return request;
        }
        let proto = request.uri().scheme_str().unwrap_or("http").to_owned();
        let path = request.uri().path_and_query().cloned();
        let Some(dialled) = self.dialled.authority() else { return request };
        let target = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(dialled)
            .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
            .build();
        let host = HeaderValue::from_str(self.public.as_str());
        let (Ok(target), Ok(host), Ok(proto)) = (target, host, HeaderValue::from_str(&proto))
        else {
            return request;
        };
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(FORWARDED_HOST, host);
        headers.insert(FORWARDED_PROTO, proto);
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("127.0.0.1"));
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(issuer: &str, url: &str) -> Request<Vec<u8>> {
        let dial = Dial::Tcp("127.0.0.1".into(), 8600);
        let loopback = Loopback::new(issuer, &dial).unwrap();
        loopback.reroute(Request::get(url).body(Vec::new()).unwrap())
    }

    #[test]
    fn calls_to_the_issuer_are_dialled_directly_and_keep_their_host() {
        let issuer = "https://id.example.com:8443/realms/main";
        let request = redirected(issuer, "https://id.example.com:8443/realms/main/x?y=1");
        assert_eq!(request.uri(), "http://127.0.0.1:8600/realms/main/x?y=1");
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("host"), "id.example.com:8443");
        assert_eq!(header("x-forwarded-host"), "id.example.com:8443");
        assert_eq!(header("x-forwarded-proto"), "https");
    }

    #[test]
    fn an_issuer_without_tls_on_this_machine_is_dialled_directly() {
        for (issuer, wanted) in [
            ("http://127.0.0.1:9000/realms/x", Some("127.0.0.1:9000")),
            ("http://localhost/auth", Some("localhost:80")),
            ("http://id.localhost:81", Some("id.localhost:81")),
            ("http://[::1]:9000/x", Some("[::1]:9000")),
            ("https://localhost:9000", None),
            ("http://10.0.0.1:9000", None),
            ("http://localhost.example.org", None),
        ] {
            let dialled = on_this_machine(issuer).map(|dial| match dial {
                Dial::Tcp(host, port) => format!("{host}:{port}"),
                other => panic!("{other:?}"),
            });
            assert_eq!(dialled.as_deref(), wanted, "{issuer}");
        }
    }

    #[test]
    fn calls_to_other_hosts_are_unchanged() {
        let request = redirected("https://id.example.com/x", "https://keys.example.com/jwks");
        assert_eq!(request.uri(), "https://keys.example.com/jwks");
        assert!(request.headers().is_empty());
    }
}
