//! Addresses, networks, URLs, origins and host names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::ServerName;
use url::Url;

use super::Parsed;
use crate::config::model::{Dial, Listen, PublicUrl, Upstream};
use crate::config::ownership::app_socket::UnixSocket;

/// `0.0.0.0:8080`, `localhost:8080`, `[::]:8080`, `unix:/path`
pub(crate) fn listen(text: &str) -> Parsed<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("`unix:` needs a path; for example `unix:/run/appliance.sock`".to_owned())
        } else {
            Ok(Listen::Unix(PathBuf::from(path)))
        };
    }
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse::<SocketAddr>().map(Listen::Tcp).map_err(|_| {
        format!("`{text}` is not an address; write for example `0.0.0.0:8080`, `[::]:8080` or `unix:/path`")
    })
}

/// A network, or a single address.
pub(crate) fn network(text: &str) -> Parsed<IpNet> {
    text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).map_err(
        |_| format!("`{text}` is not a network; write for example `10.0.0.0/8` or `fd00::/8`"),
    )
}

/// An absolute `http` or `https` URL without user, query and fragment; `what` is the subject of the
/// error message.
///
/// The URL parser accepts and repairs spaces, backslashes and missing slashes; they are refused
/// here.
fn http_url(what: &str, text: &str) -> Parsed<Url> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let absolute = ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let url = Url::parse(text).ok().filter(|url| absolute && url.has_host() && !text.contains(odd));
    let Some(url) = url else {
        return Err(format!("{what} must be a URL{}; {}", not(text), how_to_write(text)));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{what} must not contain a user or a password; remove them"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{what} must not have a query or a fragment; remove them"));
    }
    Ok(url)
}

/// Names the value, which may come from a variable, unless it may contain a password.
fn not(text: &str) -> String {
    let is_shown = !text.contains('@') && text.len() <= 100;
    if is_shown { format!(", and `{text}` is not one") } else { String::new() }
}

fn how_to_write(text: &str) -> String {
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let is_like_one = text.starts_with("localhost") || text.contains(['.', ':']);
    if is_like_one && text.chars().all(is_host) && !text.starts_with([':', '.', '-']) {
        return format!("write `http://{text}` or `https://{text}`");
    }
    "write `http://host:port` or `https://host`".to_owned()
}

/// The origin that browsers use.
pub(crate) fn public_url(text: &str) -> Parsed<PublicUrl> {
    let url = http_url("public_url", text)?;
    if url.path() != "/" {
        return Err(format!("public_url must not have a path, and `{text}` has one; remove it"));
    }
    Ok(PublicUrl {
        secure: url.scheme() == "https",
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
    })
}

/// An `http` or `https` URL without user, query and fragment; `what` is the subject of the error.
pub(crate) fn url(what: &str, text: &str) -> Parsed<()> {
    http_url(what, text).map(drop)
}

/// The URL of an issuer, kept byte for byte.
pub(crate) fn issuer(text: &str) -> Parsed<String> {
    http_url("the issuer", text).map(|_| text.to_owned())
}

/// The URL of the directory of an authority, kept byte for byte.
pub(crate) fn acme_directory(text: &str) -> Parsed<String> {
    let url = http_url("the directory", text)?;
    if url.scheme() == "https" {
        Ok(text.to_owned())
    } else {
        Err("the directory of an authority must be an https URL".to_owned())
    }
}

/// `http://host:port`, `https://host`, `unix:/path`
pub(crate) fn upstream(text: &str) -> Parsed<Upstream> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("`unix:` needs a path; for example `unix:/run/app.sock`".to_owned())
        } else {
            Ok(Upstream::new(Dial::Unix(UnixSocket::new(path.into()))))
        };
    }
    let url = http_url("an upstream", text)?;
    if url.path() != "/" {
        return Err(
            "an upstream must not have a path; use `strip_prefix` to remove the app's own path"
                .to_owned(),
        );
    }
    let tls = (url.scheme() == "https").then(Arc::default);
    let host = url.host_str().unwrap_or_default();
    let dialled = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    // A site with its own host name usually serves no other one.
    let named = tls.is_some() && url.domain().is_some_and(|domain| domain != "localhost");
    let own = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let dial = Dial::Tcp(dialled.to_owned(), port);
    Ok(Upstream { tls, host: named.then_some(own), ..Upstream::new(dial) })
}

/// `https://host[:port]`, or `*`
pub(crate) fn origin(text: &str) -> Parsed<String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let url = http_url("an origin", text)?;
    if url.path() != "/" || text.ends_with('/') {
        return Err("an origin has no path; write for example `https://partner.example`".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// A name that a certificate can have: a host name or an IP address.
pub(crate) fn server_name(text: &str) -> Parsed<String> {
    match ServerName::try_from(text.to_owned()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "`{text}` is not a name of a server; write it without scheme and port, for example `wiki.internal`"
        )),
    }
}

/// A host name in lower case, without port.
pub(crate) fn host(text: &str) -> Parsed<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!(
            "`{text}` is not a host name; write it without scheme, port and path, for example `app.example.org`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(listen("0.0.0.0:80"), Ok(Listen::Tcp("0.0.0.0:80".parse().unwrap())));
        assert_eq!(listen("localhost:80"), Ok(Listen::Tcp("127.0.0.1:80".parse().unwrap())));
        assert_eq!(listen("unix:/x"), Ok(Listen::Unix("/x".into())));
        for bad in ["8080", ":8080", "0.0.0.0", "example.org:80", "0.0.0.0:99999", "unix:"] {
            assert!(listen(bad).is_err(), "{bad}");
        }
        assert!(
            network("10.0.0.0/8").is_ok() && network("::1").is_ok() && network("10/8").is_err()
        );
    }

    #[test]
    fn public_urls_are_origins() {
        for (text, shown) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://Apps.Example.org:443/", "https://apps.example.org"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(public_url(text).unwrap().to_string(), shown);
        }
        for bad in [
            "http://localhost:9080/app",
            "ftp://localhost",
            "localhost:9080",
            "http://u:p@localhost",
            "http://localhost/?x=1",
            "http:localhost",
            "http://",
            " http://x",
            "http:\\\\x",
            "",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn upstreams_and_origins() {
        let tcp = |host: &str, port| Dial::Tcp(host.to_owned(), port);
        assert_eq!(upstream("http://10.0.0.7:8501").unwrap().dial, tcp("10.0.0.7", 8501));
        assert_eq!(upstream("http://[::1]:0").unwrap().dial, tcp("::1", 0));
        let site = upstream("https://wiki.example.org").unwrap();
        assert_eq!((site.dial, site.tls.is_some()), (tcp("wiki.example.org", 443), true));
        assert_eq!(site.host.as_deref(), Some("wiki.example.org"));
        for bad in ["10.0.0.7:80", "http://x/y", "unix:", "tcp://x", "http://x?y"] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
        assert_eq!(origin("https://A.example:443").as_deref(), Ok("https://a.example"));
        assert!(origin("null").is_err() && origin("https://a.example/").is_err());
    }
}
