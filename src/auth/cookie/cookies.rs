//! Names and attributes of the appliance's cookies, and how cookies are read from a request.
//!
//! Cookies are read as bytes: the request also carries other cookies, which may contain anything,
//! including invalid UTF-8.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::names::CookieNames;
use crate::config::PublicUrl;

/// How many cookies one response removes at most. A browser may send a thousand planted ones, and a
/// response that removed them all would be too large for a proxy in front.
pub(crate) const MAX_REMOVALS: usize = 8;

/// Follows the name of the session cookie in the names of login attempt cookies.
const LOGIN: &str = "-login-";

/// Follows the name of the session cookie in the names of the cookies that name a process of an app.
pub(crate) const REPLICA: &str = "-replica-";

/// Follows the name of the session cookie in the names of the cookies of apps in frames of other sites.
pub(super) const EMBED: &str = "-embed-";

/// Names and attributes of the appliance's cookies.
#[derive(Debug)]
pub(crate) struct Cookies {
    /// Name of the session cookie: `[session] cookie`, with the prefix `__Host-` (RFC 6265bis
    /// §4.1.3.2) if `public_url` is https.
    pub(crate) session: String,
    /// Prefix of the names of login attempt cookies: `<session>-login-`.
    pub(crate) login: String,
    /// Host and port of `public_url`; sealed values are bound to it.
    pub(crate) host: String,
    secure: bool,
    /// What the value of the session cookie is bound to: its name, and the era of this name.
    pub(crate) bound: String,
    names: CookieNames,
}

impl Cookies {
    /// `before`: the names before this one, which stay those of the appliance.
    pub(crate) fn new(base: &str, public_url: &PublicUrl, before: &CookieNames) -> Self {
        let names = before.followed_by(base);
        let session = if public_url.secure { format!("__Host-{base}") } else { base.to_owned() };
        let bound = match names.era() {
            0 => session.clone(),
            era => format!("{session} {era}"),
        };
        Self {
            login: format!("{session}{LOGIN}"),
            session,
            host: public_url.authority(),
            secure: public_url.secure,
            bound,
            names,
        }
    }

    /// The names that the session cookie has had.
    pub(crate) fn names(&self) -> &CookieNames {
        &self.names
    }

    /// Whether `name` is a cookie of the appliance, with or without a prefix: cookies set before
    /// `public_url` changed its scheme must not reach an app either. The same holds for the default
    /// names of appliances on other ports of the host: an app could use such a cookie there.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let name = base(name);
        let is_whole = |rest: &str| {
            rest.is_empty() || [LOGIN, REPLICA, EMBED].iter().any(|infix| rest.starts_with(infix))
        };
        let is_own = |base: &str| name.strip_prefix(base).is_some_and(is_whole);
        self.names.all().any(is_own)
            || name.strip_prefix("appliance").is_some_and(|rest| is_whole(without_port(rest)))
    }

    /// A `Set-Cookie` value. `SameSite=Lax`: with `Strict` the browser would not send the cookie on
    /// the redirect back from the issuer.
    pub(crate) fn set(&self, name: &str, value: &str, age: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = age.as_secs();
        let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// A `Set-Cookie` value that removes the cookie.
    pub(crate) fn clear(&self, name: &str) -> HeaderValue {
        self.set(name, "", Duration::ZERO)
    }

    /// The `Set-Cookie` values that remove the first [`MAX_REMOVALS`] of these cookies.
    pub(crate) fn clear_all<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Vec<HeaderValue> {
        let mut seen = BTreeSet::new();
        let names = names.into_iter().filter(|name| seen.insert(*name));
        names.take(MAX_REMOVALS).map(|name| self.clear(name)).collect()
    }

    /// The `Set-Cookie` values that remove session cookies which the appliance never sets: for a
    /// narrower path than `/`, or for a whole domain. A page of an app or a host of the same domain
    /// can plant them. The request tells neither their path nor their domain, so this covers what
    /// `path` and `host` allow, the likeliest first. With https there is nothing to remove: browsers
    /// accept `__Host-` only for `/` and without a domain.
    pub(crate) fn clear_planted(&self, path: &str, host: &str) -> Vec<HeaderValue> {
        if self.secure {
            return Vec::new();
        }
        let (paths, domains) = (prefixes(path), domains(host));
        let of_host = paths.iter().map(|path| (*path, None));
        let of_domains = std::iter::once("/").chain(paths.iter().copied());
        let of_domains =
            of_domains.flat_map(|path| domains.iter().map(move |domain| (path, Some(*domain))));
        let removals = alternate(of_host, of_domains).take(MAX_REMOVALS);
        removals.filter_map(|(path, domain)| self.removal(path, domain)).collect()
    }

    fn removal(&self, path: &str, domain: Option<&str>) -> Option<HeaderValue> {
        let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
        let name = &self.session;
        let text = format!("{name}=; Path={path}{domain}; Max-Age=0; HttpOnly; SameSite=Lax");
        HeaderValue::try_from(text).ok()
    }
}

/// Where a cookie that came with a request for `path` at `host` can have been set: each path, for the
/// host alone and for each domain. Those for `/` come first.
pub(crate) fn places<'a>(path: &'a str, host: &'a str) -> impl Iterator<Item = Place<'a>> {
    let domains = domains(host);
    std::iter::once("/").chain(prefixes(path)).flat_map(move |path| {
        let of_domains: Vec<_> = domains.iter().map(|domain| Some(*domain)).collect();
        std::iter::once(None).chain(of_domains).map(move |domain| (path, domain))
    })
}

/// A path and a domain; without a domain a cookie is for its host alone.
pub(crate) type Place<'a> = (&'a str, Option<&'a str>);

/// The name without the prefix `__Host-` or `__Secure-`.
fn base(name: &str) -> &str {
    ["__Host-", "__Secure-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// What follows `-<port>`; `rest` itself if it does not begin with a port.
fn without_port(rest: &str) -> &str {
    let Some(digits) = rest.strip_prefix('-') else { return rest };
    let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    if after.len() < digits.len() { after } else { rest }
}

/// The cookie paths other than `/` that match a request path (RFC 6265 §5.1.4), widest first.
fn prefixes(path: &str) -> Vec<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
    let mut found: Vec<_> = ends.flat_map(|end| [&path[..end], &path[..=end]]).collect();
    if path.len() > 1 && !path.ends_with('/') {
        found.push(path);
    }
    found
}

/// The domains that a cookie for `host` can be set for, parents first; the top level is not one.
fn domains(host: &str) -> Vec<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name.parse::<IpAddr>().is_ok() || name.starts_with('[') {
        return Vec::new();
    }
    let parents = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    let mut found: Vec<_> = parents.filter(|parent| parent.contains('.')).collect();
    if name.contains('.') {
        found.push(name);
    }
    found
}

/// One of each in turn, then the rest.
fn alternate<T>(
    one: impl Iterator<Item = T>,
    two: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut one, mut two, mut turn) = (one.fuse(), two.fuse(), false);
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { one.next().or_else(|| two.next()) } else { two.next().or_else(|| one.next()) }
    })
}

/// All cookies of a request in order: name and value, unchanged except for surrounding spaces.
pub(crate) fn all(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).into_iter().flat_map(|line| {
        pairs(line.as_bytes()).filter_map(|pair| {
            let pair = pair.trim_ascii();
            let at = memchr::memchr(b'=', pair)?;
            Some((pair[..at].trim_ascii_end(), pair[at + 1..].trim_ascii_start()))
        })
    })
}

/// The parts of a `Cookie` line between semicolons.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

/// The values of all cookies with this name. There is more than one if cookies were set for several
/// paths or domains.
pub(crate) fn named<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    all(headers).filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(secure: bool) -> Cookies {
        let url = PublicUrl { secure, host: "apps.example".into(), port: 443 };
        Cookies::new("appliance", &url, &CookieNames::default())
    }

    fn request(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    #[test]
    fn values_are_read_as_bytes_and_in_order() {
        let headers = request(&[b"a=\"1 2\"; appliance=x=y==;b=\xff", b"appliance=; c; =d"]);
        let found: Vec<_> = named(&headers, "appliance").collect();
        assert_eq!(found, [&b"x=y=="[..], b""]);
        assert_eq!(all(&headers).count(), 5);
    }

    #[test]
    fn names_have_the_host_prefix_on_https() {
        assert_eq!(cookies(false).session, "appliance");
        assert_eq!(cookies(true).session, "__Host-appliance");
        assert_eq!(cookies(true).login, "__Host-appliance-login-");
    }

    #[test]
    fn only_the_appliances_names_are_owned() {
        for (name, owned) in [
            ("appliance", true),
            ("__Host-appliance", true),
            ("appliance-login-x7", true),
            ("__Host-appliance-login-x7", true),
            ("appliance-9360", true),
            ("__Host-appliance-9360", true),
            ("appliance-9360-login-x7", true),
            ("appliance-replica-app1", true),
            ("__Host-appliance-replica-app1", true),
            ("appliance-9360-replica-app1", true),
            ("appliance-embed-app1", true),
            ("__Host-appliance-embed-app1", true),
            ("__Secure-appliance-embed-app1", true),
            ("__Secure-appliance-9360-embed-app1", true),
            ("appliance-embedded", false),
            ("appliance-replic", false),
            ("appliance2-replica-app1", false),
            ("appliance-9360x", false),
            ("appliance-9360-theme", false),
            ("appliance2", false),
            ("appliance-", false),
            ("Appliance", false),
            ("x-appliance", false),
        ] {
            assert_eq!(cookies(true).owns(name), owned, "{name}");
            assert_eq!(cookies(false).owns(name), owned, "{name}");
        }
    }

    #[test]
    fn every_cookie_of_a_former_name_stays_the_appliances() {
        let url = PublicUrl { secure: false, host: "apps.example".into(), port: 443 };
        let before = CookieNames::default().followed_by("corp");
        for (name, owned) in [
            ("corp", true),
            ("corp-login-x7", true),
            ("corp-replica-app1", true),
            ("__Host-corp-replica-app1", true),
            ("other-replica-app1", true),
            ("corp-9360-replica-app1", false),
            ("third-replica-app1", false),
        ] {
            assert_eq!(Cookies::new("other", &url, &before).owns(name), owned, "{name}");
        }
    }

    #[test]
    fn set_cookie_has_the_expected_attributes() {
        let secure = cookies(true).set("n", "v", Duration::from_secs(9));
        assert_eq!(secure, "n=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure");
        let plain = cookies(false).clear("n");
        assert_eq!(plain, "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    fn texts(values: &[HeaderValue]) -> Vec<&str> {
        values.iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn one_response_removes_a_few_cookies() {
        let names: Vec<_> = (0..1400).map(|n| format!("appliance-login-{n}")).collect();
        let removed = cookies(false).clear_all(names.iter().map(String::as_str));
        assert_eq!(removed.len(), MAX_REMOVALS);
        assert_eq!(cookies(false).clear_all(["a", "b", "a"]).len(), 2);
        let deep = "/a".repeat(1000);
        assert_eq!(cookies(false).clear_planted(&deep, "a.b.c.d.example").len(), MAX_REMOVALS);
    }

    #[test]
    fn every_place_of_a_cookie_is_known() {
        for (path, host, wanted) in [
            ("/", "localhost:8080", "/"),
            ("/", "10.0.0.1:8080", "/"),
            ("/a/b", "localhost", "/, /a, /a/, /a/b"),
            ("/", "apps.corp.example:80", "/, / corp.example, / apps.corp.example"),
            ("/a", "apps.test", "/, / apps.test, /a, /a apps.test"),
        ] {
            let places = places(path, host).map(|(path, domain)| match domain {
                Some(domain) => format!("{path} {domain}"),
                None => path.to_owned(),
            });
            assert_eq!(places.collect::<Vec<_>>().join(", "), wanted, "{path} {host}");
        }
    }

    #[test]
    fn planted_cookies_are_removed_where_the_request_can_have_got_them() {
        let path_of = |value: &str| value.split("; ").nth(1).unwrap()[5..].to_owned();
        let removed = cookies(false).clear_planted("/two/x", "localhost:8080");
        let paths: Vec<_> = texts(&removed).into_iter().map(path_of).collect();
        assert_eq!(paths, ["/two", "/two/", "/two/x"]);
        let removed = cookies(false).clear_planted("/two/", "apps.corp.example:8080");
        for wanted in [
            "appliance=; Path=/two; Max-Age=0; HttpOnly; SameSite=Lax",
            "appliance=; Path=/two/; Max-Age=0; HttpOnly; SameSite=Lax",
            "appliance=; Path=/; Domain=corp.example; Max-Age=0; HttpOnly; SameSite=Lax",
            "appliance=; Path=/two; Domain=apps.corp.example; Max-Age=0; HttpOnly; SameSite=Lax",
        ] {
            assert!(texts(&removed).contains(&wanted), "{wanted} {removed:?}");
        }
        let root = "appliance=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
        assert!(!texts(&removed).contains(&root), "the session of the last login stays");
        assert!(cookies(false).clear_planted("/", "127.0.0.1:8080").is_empty());
        assert!(cookies(false).clear_planted("/", "[::1]:8080").is_empty());
        assert!(cookies(true).clear_planted("/two/x", "apps.corp.example").is_empty());
    }
}
