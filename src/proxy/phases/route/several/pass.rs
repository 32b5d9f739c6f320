//! The pass of a visitor who is not signed in: a cookie that names the process of the app.
//!
//! The appliance signs it with a key that lives as long as its processes, so a stranger cannot choose
//! a process: a pass names the one that had the fewest sessions when the pass was made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use ring::hmac;
use ring::rand::SystemRandom;

use crate::auth::cookie::cookies::{REPLICA, named};

/// Bytes of the signature.
const SIGNATURE: usize = 16;

/// What a pass says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// Number of the process.
    pub(super) process: usize,
    /// Tells visitors apart.
    pub(super) id: u64,
}

impl Pass {
    pub(super) fn random_id() -> u64 {
        use std::hash::{BuildHasher as _, Hasher as _};
        // `std` seeds every hasher with new random keys.
        std::hash::RandomState::new().build_hasher().finish()
    }

    fn bytes(self) -> Option<[u8; 9]> {
        let mut bytes = [u8::try_from(self.process).ok()?; 9];
        bytes[1..].copy_from_slice(&self.id.to_be_bytes());
        Some(bytes)
    }
}

/// Signs passes.
pub(super) struct Stamp(hmac::Key);

impl Default for Stamp {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        // Without random numbers the appliance could not have made its other keys either.
        Self(key.unwrap_or_else(|_| {
            hmac::Key::new(hmac::HMAC_SHA256, &Pass::random_id().to_be_bytes())
        }))
    }
}

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stamp")
    }
}

impl Stamp {
    fn write(&self, pass: Pass) -> Option<String> {
        let bytes = pass.bytes()?;
        let signature = hmac::sign(&self.0, &bytes);
        Some(URL_SAFE_NO_PAD.encode([&bytes, &signature.as_ref()[..SIGNATURE]].concat()))
    }

    fn read(&self, text: &[u8]) -> Option<Pass> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, signature) = bytes.split_at_checked(9)?;
        let expected = hmac::sign(&self.0, said);
        // Constant time is of no use here: who guesses a signature gains a process of the app.
        if signature != &expected.as_ref()[..SIGNATURE] {
            return None;
        }
        let (process, id) = said.split_first()?;
        Some(Pass { process: usize::from(*process), id: u64::from_be_bytes(id.try_into().ok()?) })
    }
}

/// The cookie that carries the passes of one app.
#[derive(Debug)]
pub(crate) struct PassCookie {
    name: String,
    attributes: String,
}

impl PassCookie {
    /// `session`: name of the session cookie in the configuration; `path`: where the app is.
    pub(crate) fn new(session: &str, app: &str, path: &str, secure: bool) -> Self {
        let secure = if secure { "; Secure" } else { "" };
        Self {
            name: format!("{session}{REPLICA}{app}"),
            attributes: format!("; Path={path}; HttpOnly; SameSite=Lax{secure}"),
        }
    }

    /// The pass of a request.
    pub(super) fn find(&self, headers: &HeaderMap, stamp: &Stamp) -> Option<Pass> {
        named(headers, &self.name).find_map(|value| stamp.read(value))
    }

    /// The `Set-Cookie` value that gives a pass.
    pub(super) fn set(&self, pass: Pass, stamp: &Stamp) -> Option<HeaderValue> {
        let text = format!("{}={}{}", self.name, stamp.write(pass)?, self.attributes);
        HeaderValue::try_from(text).ok()
    }
}

/// Whether a cookie carries passes, in a configuration without sign-in, which has no other cookies.
pub(crate) fn is_pass(session: &str, name: &str) -> bool {
    name.strip_prefix(session).is_some_and(|rest| rest.starts_with(REPLICA))
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn only_a_pass_that_was_given_is_taken() {
        let (stamp, other) = (Stamp::default(), Stamp::default());
        let cookie = PassCookie::new("appliance", "app1", "/app1", true);
        let pass = Pass { process: 2, id: 7 };
        let set = cookie.set(pass, &stamp).unwrap();
        let set = set.to_str().unwrap();
        let (pair, attributes) = set.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/app1; HttpOnly; SameSite=Lax; Secure");
        let value = pair.split_once('=').unwrap().1;
        let forged = Stamp::default().write(Pass { process: 0, id: 7 }).unwrap();
        for (line, wanted) in [
            (pair.to_owned(), Some(pass)),
            (format!("a=b; {pair}; c=d"), Some(pass)),
            (format!("appliance-replica-app1=x; {pair}"), Some(pass)),
            (format!("appliance-replica-app2={value}"), None),
            (format!("appliance-replica-app1={forged}"), None),
            (format!("appliance-replica-app1={}", &value[1..]), None),
            ("appliance-replica-app1=".to_owned(), None),
            ("appliance-replica-app1=0".to_owned(), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::try_from(&line).unwrap());
            assert_eq!(cookie.find(&headers, &stamp), wanted, "{line}");
            assert_eq!(cookie.find(&headers, &other), None, "{line}");
        }
        assert_eq!(cookie.find(&HeaderMap::new(), &stamp), None);
    }

    #[test]
    fn the_cookie_belongs_to_the_appliance() {
        for (name, wanted) in [
            ("appliance-replica-app1", true),
            ("appliance-replica-", true),
            ("appliance-replic", false),
            ("appliance", false),
            ("other-replica-app1", false),
        ] {
            assert_eq!(is_pass("appliance", name), wanted, "{name}");
        }
    }
}
