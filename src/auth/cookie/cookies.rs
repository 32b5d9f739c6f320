//! Names and attributes of the appliance's cookies, and how cookies are read from a request.
//!
//! Cookies are read as bytes: the request also carries other cookies, which may contain anything,
//! including invalid UTF-8.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::config::PublicUrl;

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
}

impl Cookies {
    pub(crate) fn new(base: &str, public_url: &PublicUrl) -> Self {
        let session = if public_url.secure { format!("__Host-{base}") } else { base.to_owned() };
        Self {
            login: format!("{session}-login-"),
            session,
            host: public_url.authority(),
            secure: public_url.secure,
        }
    }

    /// Whether `name` is a cookie of the appliance, with or without `__Host-`: cookies set before
    /// `public_url` changed its scheme must not reach an app either.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let base = self.session.strip_prefix("__Host-").unwrap_or(&self.session);
        let rest = name.strip_prefix("__Host-").unwrap_or(name).strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-login-"))
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
        Cookies::new("appliance", &url)
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
    fn set_cookie_has_the_expected_attributes() {
        let secure = cookies(true).set("n", "v", Duration::from_secs(9));
        assert_eq!(secure, "n=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure");
        let plain = cookies(false).clear("n");
        assert_eq!(plain, "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
