//! Texts with a grammar: durations, sizes, signals, names of headers, paths, addresses.
//!
//! Each function gives the value or one sentence that says what it should have been.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use nix::sys::signal::Signal;
use url::Url;

use super::{Dial, Listen, PublicUrl, Upstream};

/// A value, or why it is none.
pub(super) type Parsed<T> = Result<T, String>;

/// What is longer could not be added to a time any more.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// `"10s"`, `"1h 30m"`; never negative.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let duration = humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is no duration; write it as `500ms`, `10s`, `5m` or `1h`")
    })?;
    if duration > LONGEST {
        return Err(format!("`{text}` is longer than a hundred years"));
    }
    Ok(duration)
}

/// `"64KiB"`, `"200MB"`: powers of 1024 with an `i`, of 1000 without.
pub(super) fn size(text: &str) -> Parsed<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
        "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1000 * 1000),
        "gb" => Some(1000 * 1000 * 1000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    factor
        .zip(number.parse().ok())
        .and_then(|(factor, number): (u64, u64)| number.checked_mul(factor))
        .ok_or_else(|| {
            format!("`{text}` is no size; write it as `512B`, `64KiB`, `200MB` or `1GiB`")
        })
}

/// `"TERM"` or `"SIGTERM"`.
pub(super) fn signal(text: &str) -> Parsed<Signal> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    Signal::from_str(&format!("SIG{name}"))
        .map_err(|_| format!("there is no signal `{text}`; write it as `TERM`, `INT` or `QUIT`"))
}

/// `"027"`, octal.
pub(super) fn umask(text: &str) -> Parsed<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mask| *mask <= 0o777 && digits.len() >= 3)
        .ok_or_else(|| format!("`{text}` is no umask; write three octal digits as `027`"))
}

/// `"0.0.0.0:8080"`, `"localhost:8080"`, `"[::]:8080"`, `"unix:/path"`.
pub(super) fn listen(text: &str) -> Parsed<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("`unix:` needs a path; write it as `unix:/run/appliance.sock`".to_owned())
        } else {
            Ok(Listen::Unix(PathBuf::from(path)))
        };
    }
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse::<SocketAddr>().map(Listen::Tcp).map_err(|_| {
        format!("`{text}` is no address; write it as `0.0.0.0:8080`, `[::]:8080` or `unix:/path`")
    })
}

/// A network, or a lone address.
pub(super) fn network(text: &str) -> Parsed<IpNet> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is no network; write it as `10.0.0.0/8` or `fd00::/8`"))
}

/// An absolute `http` or `https` URL without user, query and fragment; `what` begins the sentence.
///
/// The URL parser repairs blanks, backslashes and missing slashes; here they are refused.
fn http_url(what: &str, text: &str) -> Parsed<Url> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let absolute = ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let url = Url::parse(text).ok().filter(|url| absolute && url.has_host() && !text.contains(odd));
    let Some(url) = url else {
        return Err(format!(
            "{what} must be a URL; write it as `http://host:port` or `https://host`"
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{what} must not hold a user or a password; leave them out"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{what} must not have a query or a fragment; leave them out"));
    }
    Ok(url)
}

/// The origin that browsers use.
pub(super) fn public_url(text: &str) -> Parsed<PublicUrl> {
    let url = http_url("public_url", text)?;
    if url.path() != "/" {
        return Err("public_url must be an origin; leave the path out".to_owned());
    }
    Ok(PublicUrl {
        secure: url.scheme() == "https",
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
    })
}

/// An issuer, byte for byte as it is written.
pub(super) fn issuer(text: &str) -> Parsed<String> {
    http_url("the issuer", text).map(|_| text.to_owned())
}

/// `http://host:port`, `https://host`, `unix:/path`.
pub(super) fn upstream(text: &str) -> Parsed<Upstream> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("`unix:` needs a path; write it as `unix:/run/app.sock`".to_owned())
        } else {
            Ok(Upstream { dial: Dial::Unix(PathBuf::from(path)), tls: false, host: None })
        };
    }
    let url = http_url("an upstream", text)?;
    if url.path() != "/" {
        return Err("an upstream must not have a path; `strip_prefix` removes the app's".to_owned());
    }
    let tls = url.scheme() == "https";
    let host = url.host_str().unwrap_or_default();
    let dialled = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    // A site with a name of its own serves nobody under another one.
    let named = tls && url.domain().is_some_and(|domain| domain != "localhost");
    let own = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok(Upstream { dial: Dial::Tcp(dialled.to_owned(), port), tls, host: named.then_some(own) })
}

/// `https://host[:port]`, or `*`.
pub(super) fn origin(text: &str) -> Parsed<String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let url = http_url("an origin", text)?;
    if url.path() != "/" || text.ends_with('/') {
        return Err("an origin has no path; write it as `https://partner.example`".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// A host name in lower case, without port.
pub(super) fn host(text: &str) -> Parsed<String> {
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
            "`{text}` is no host name; write it without scheme, port and path, as `app.example.org`"
        ))
    }
}

/// The prefix of an app: `/` or segments; a trailing slash is dropped.
pub(super) fn prefix(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("a path begins with `/`; write `/{text}`"));
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    if trimmed.is_empty() {
        return Ok("/".to_owned());
    }
    if trimmed.contains('*') {
        return Err(
            "a path is a prefix and holds for all below it; patterns belong to `rules`".to_owned()
        );
    }
    segments(trimmed)?;
    Ok(trimmed.to_owned())
}

/// A pattern of a rule: segments, `*` or `**` as whole ones.
pub(super) fn pattern(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("a path begins with `/`; write `/{text}`"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("`{text}` ends with a slash; write `{text}**` for all that is below"));
    }
    if text.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
        return Err("`*` is no part of a segment; it stands for one whole segment, `**` for any number of them".to_owned());
    }
    if text.len() > 1 {
        segments(text)?;
    }
    Ok(text.to_owned())
}

/// What no request's path can be after admission can be no prefix either.
fn segments(path: &str) -> Parsed<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(format!(
            "`{path}` has a character that cannot stand in a path; use letters, digits, `-`, `.`, `_` and `~`"
        ));
    }
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("`{path}` has an empty, `.` or `..` segment; leave it out"));
    }
    Ok(())
}

/// A header field name (RFC 9110 section 5.1), in lower case.
pub(super) fn header(text: &str) -> Parsed<String> {
    http::HeaderName::from_bytes(text.as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|_| format!("`{text}` is no header name; write it as `X-User`"))
}

/// A token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `name` or `a.b.c`.
pub(super) fn claim(text: &str) -> Parsed<String> {
    if text.split('.').any(str::is_empty) {
        return Err(format!("`{text}` is no claim; write it as `email` or `realm_access.roles`"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["-1s", "5 parsecs", "", "10", "101years", "500000000000years"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("200 MB"), Ok(200_000_000));
        for bad in
            ["10 elephants", "", "MB", "-1KB", "99999999999999999999B", "18446744073709551615GB"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_and_masks() {
        assert_eq!(signal("TERM"), Ok(Signal::SIGTERM));
        assert_eq!(signal("SIGINT"), Ok(Signal::SIGINT));
        assert!(signal("NOPE").is_err());
        assert_eq!(umask("027"), Ok(0o027));
        assert_eq!(umask("0o022"), Ok(0o022));
        for bad in ["27", "999", "7777", "u=rwx"] {
            assert!(umask(bad).is_err(), "{bad}");
        }
    }

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
        assert_eq!((site.dial, site.tls), (tcp("wiki.example.org", 443), true));
        assert_eq!(site.host.as_deref(), Some("wiki.example.org"));
        for bad in ["10.0.0.7:80", "http://x/y", "unix:", "tcp://x", "http://x?y"] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
        assert_eq!(origin("https://A.example:443").as_deref(), Ok("https://a.example"));
        assert!(origin("null").is_err() && origin("https://a.example/").is_err());
    }

    #[test]
    fn paths_and_patterns() {
        assert_eq!(prefix("/app1/").as_deref(), Ok("/app1"));
        assert_eq!(prefix("/").as_deref(), Ok("/"));
        for bad in ["app", "", "//", "/a//b", "/a/../b", "/a%20b", "/a?b", "/a*", "/ä", "/a;b"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
        for good in ["/", "/**", "/public/*", "/a/**/b", "/x.css"] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in ["public/*", "/a/", "/*.css", "/a//b", "/***"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }
}
