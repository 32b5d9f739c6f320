//! Cookies of ours: what they are called, how they are read and how they are written.
//!
//! Read bytewise: a foreign cookie beside ours may hold anything, also no UTF-8.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::config::PublicUrl;

/// The names and attributes of our cookies.
#[derive(Debug)]
pub(crate) struct Cookies {
    /// Of the session: `appliance`, `__Host-appliance` when `public_url` is https.
    pub(crate) session: String,
    /// What every attempt's name starts with: `<session>-login-`.
    pub(crate) login: String,
    /// Binds sealed values to this place.
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

    /// Whether the name is one of ours. Names from before `public_url` became https count, too:
    /// an app has no business with what they hold.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let base = self.session.strip_prefix("__Host-").unwrap_or(&self.session);
        let rest = name.strip_prefix("__Host-").unwrap_or(name).strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-login-"))
    }

    /// A `Set-Cookie` value. `SameSite=Lax` and not `Strict`, which the way back from the issuer
    /// would not survive.
    pub(crate) fn set(&self, name: &str, value: &str, age: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = age.as_secs();
        let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// A `Set-Cookie` value that removes it.
    pub(crate) fn clear(&self, name: &str) -> HeaderValue {
        self.set(name, "", Duration::ZERO)
    }
}

/// All cookies of a request, in order: name and value as they came.
pub(crate) fn all(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).into_iter().flat_map(|line| {
        pairs(line.as_bytes()).filter_map(|pair| {
            let pair = pair.trim_ascii();
            let at = memchr::memchr(b'=', pair)?;
            Some((pair[..at].trim_ascii_end(), pair[at + 1..].trim_ascii_start()))
        })
    })
}

/// The parts between semicolons.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

/// The values of the cookies with that name.
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
    fn values_are_read_bytewise_and_in_order() {
        let headers = request(&[b"a=\"1 2\"; appliance=x=y==;b=\xff", b"appliance=; c; =d"]);
        let found: Vec<_> = named(&headers, "appliance").collect();
        assert_eq!(found, [&b"x=y=="[..], b""]);
        assert_eq!(all(&headers).count(), 5);
    }

    #[test]
    fn names_follow_the_scheme() {
        assert_eq!(cookies(false).session, "appliance");
        assert_eq!(cookies(true).session, "__Host-appliance");
        assert_eq!(cookies(true).login, "__Host-appliance-login-");
    }

    #[test]
    fn only_our_names_are_ours() {
        for (name, ours) in [
            ("appliance", true),
            ("__Host-appliance", true),
            ("appliance-login-x7", true),
            ("__Host-appliance-login-x7", true),
            ("appliance2", false),
            ("appliance-", false),
            ("Appliance", false),
            ("x-appliance", false),
        ] {
            assert_eq!(cookies(true).owns(name), ours, "{name}");
            assert_eq!(cookies(false).owns(name), ours, "{name}");
        }
    }

    #[test]
    fn attributes() {
        let secure = cookies(true).set("n", "v", Duration::from_secs(9));
        assert_eq!(secure, "n=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure");
        let plain = cookies(false).clear("n");
        assert_eq!(plain, "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
