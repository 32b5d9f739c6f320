//! A login attempt, which the browser keeps in one short sealed cookie.
//!
//! Each attempt has a cookie of its own, so that logins in two tabs both succeed. The cookie binds
//! state, nonce and PKCE verifier to the browser in which the login began; the appliance keeps
//! nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use openidconnect::{CsrfToken, PkceCodeChallenge};
use serde::{Deserialize, Serialize};

use crate::auth::cookie::{Binding, Cookies, Keyring, Purpose, cookies};
use crate::auth::runtime::clock::{self, Millis};

/// Lifetime of an attempt; Keycloak's login page lives as long.
const LIFETIME: Duration = Duration::from_mins(30);
/// Limits for the attempts of one browser: their number, and their total size in bytes. The browser
/// sends all of them with every request.
const MAX_ATTEMPTS: usize = 7;
const MAX_SIZE: usize = 6 * 1024;

/// A login that has begun. The order of the fields is the format of the cookie.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// `state` (RFC 6749 §4.1.1): `<id>.<secret>`; the id is part of the cookie's name.
    pub(super) state: String,
    pub(super) nonce: String,
    /// PKCE code verifier (RFC 7636 §4.1).
    pub(super) verifier: String,
    /// Path to redirect to after the login; already checked.
    pub(super) return_path: String,
    pub(super) begun: Millis,
    /// The attempt was begun automatically because the one before expired at the issuer. This
    /// happens only once in a row.
    pub(super) again: bool,
}

impl Attempt {
    pub(super) fn begin(return_path: String, again: bool) -> Self {
        let id = CsrfToken::new_random_len(6).into_secret();
        let secret = CsrfToken::new_random_len(16).into_secret();
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        Self {
            state: format!("{id}.{secret}"),
            nonce: CsrfToken::new_random_len(16).into_secret(),
            verifier: verifier.into_secret(),
            return_path,
            begun: clock::now(),
            again,
        }
    }

    /// The attempt with this state in the browser's cookies, and its cookie's name. `None` if it
    /// began in another browser or has expired.
    pub(super) fn find(
        state: &str,
        headers: &HeaderMap,
        cookies: &Cookies,
        keyring: &Keyring,
    ) -> Option<(Self, String)> {
        let (id, _) = state.split_once('.')?;
        let name = format!("{}{id}", cookies.login);
        let found = cookies::named(headers, &name).find_map(|text| {
            Self::open(text, &name, cookies, keyring).filter(|attempt| attempt.state == state)
        });
        Some((found?, name))
    }

    /// The `Set-Cookie` values that store the attempt and remove earlier attempts over the limits.
    pub(super) fn cookies(
        &self,
        headers: &HeaderMap,
        cookies: &Cookies,
        keyring: &Keyring,
    ) -> Vec<HeaderValue> {
        let id = self.state.split('.').next().unwrap_or_default();
        let name = format!("{}{id}", cookies.login);
        // Serializing plain data into memory cannot fail; an empty value would not open.
        let plain = postcard::to_stdvec(self).unwrap_or_default();
        let text = keyring.seal(binding(&name, cookies), &plain);
        let excess = excess_attempts(text.len(), headers, cookies, keyring);
        let mut set = vec![cookies.set(&name, &text, LIFETIME)];
        set.extend(excess.iter().map(|name| cookies.clear(name)));
        set
    }

    fn open(text: &[u8], name: &str, cookies: &Cookies, keyring: &Keyring) -> Option<Self> {
        let plain = keyring.open(binding(name, cookies), text)?;
        let attempt: Self = postcard::from_bytes(&plain).ok()?;
        (clock::now() < attempt.ends()).then_some(attempt)
    }

    /// When the attempt expires.
    pub(super) fn ends(&self) -> Millis {
        self.begun.saturating_add(clock::millis(LIFETIME))
    }
}

fn binding<'a>(name: &'a str, cookies: &'a Cookies) -> Binding<'a> {
    Binding { purpose: Purpose::Login, name, host: &cookies.host }
}

/// Names of the attempt cookies that have to be removed so that a new one of `size` bytes keeps the
/// limits: those that do not open, then the oldest.
fn excess_attempts(
    size: usize,
    headers: &HeaderMap,
    cookies: &Cookies,
    keyring: &Keyring,
) -> Vec<String> {
    let mut known: Vec<_> = cookies::all(headers)
        .filter_map(|(name, text)| {
            let name = std::str::from_utf8(name).ok()?;
            name.starts_with(&cookies.login).then(|| {
                let begun = Attempt::open(text, name, cookies, keyring).map_or(0, |a| a.begun);
                (begun, name.to_owned(), text.len())
            })
        })
        .collect();
    known.sort_unstable_by(|a, b| b.cmp(a));
    let (mut count, mut total) = (1, size);
    known.retain(|(begun, _, size)| {
        count += 1;
        total += size;
        *begun == 0 || count > MAX_ATTEMPTS || total > MAX_SIZE
    });
    known.into_iter().map(|(_, name, _)| name).collect()
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("begun", &self.begun).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use http::header::COOKIE;

    use super::*;
    use crate::config::PublicUrl;

    fn fixture() -> (Keyring, Cookies) {
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        let url = PublicUrl { secure: false, host: "localhost".into(), port: 8080 };
        (Keyring::parse(&key).unwrap(), Cookies::new("appliance", &url))
    }

    /// The cookies of a browser, updated by `Set-Cookie` values.
    #[derive(Default)]
    struct Jar(std::collections::BTreeMap<String, String>);

    impl Jar {
        fn take(&mut self, set: &[HeaderValue]) {
            for line in set {
                let line = line.to_str().unwrap();
                let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
                if line.contains("Max-Age=0") {
                    self.0.remove(name);
                } else {
                    self.0.insert(name.into(), value.into());
                }
            }
        }

        fn headers(&self) -> HeaderMap {
            let pairs: Vec<_> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let line = HeaderValue::try_from(pairs.join("; ")).unwrap();
            [(COOKIE, line)].into_iter().collect()
        }
    }

    fn begin(jar: &mut Jar, return_path: &str) -> Attempt {
        let (keyring, cookies) = fixture();
        let attempt = Attempt::begin(return_path.into(), false);
        jar.take(&attempt.cookies(&jar.headers(), &cookies, &keyring));
        attempt
    }

    #[test]
    fn two_tabs_both_find_their_attempt() {
        let (keyring, cookies) = fixture();
        let mut jar = Jar::default();
        let (one, two) = (begin(&mut jar, "/one"), begin(&mut jar, "/two"));
        for attempt in [one, two] {
            let found = Attempt::find(&attempt.state, &jar.headers(), &cookies, &keyring);
            let (found, name) = found.unwrap();
            assert_eq!(found.return_path, attempt.return_path);
            assert!(jar.0.contains_key(&name));
        }
    }

    #[test]
    fn an_attempt_needs_its_browser_and_its_state() {
        let (keyring, cookies) = fixture();
        let (mut mine, mut other) = (Jar::default(), Jar::default());
        let attempt = begin(&mut mine, "/");
        begin(&mut other, "/");
        let find = |state: &str, jar: &Jar| {
            Attempt::find(state, &jar.headers(), &cookies, &keyring).is_some()
        };
        assert!(!find(&attempt.state, &other));
        assert!(!find(&format!("{}x", attempt.state), &mine));
        assert!(!find("", &mine));
        // The cookie of another attempt does not open under this attempt's name.
        let (name, value) = other.0.pop_first().unwrap();
        assert!(name.starts_with(&cookies.login));
        let id = attempt.state.split('.').next().unwrap();
        mine.0.insert(format!("{}{id}", cookies.login), value);
        assert!(!find(&attempt.state, &mine));
    }

    #[test]
    fn the_oldest_attempt_over_the_limit_is_removed() {
        let (keyring, cookies) = fixture();
        let mut jar = Jar::default();
        for n in 0..30 {
            let attempt = begin(&mut jar, &format!("/app/tab{n}"));
            assert!(jar.0.len() <= MAX_ATTEMPTS);
            let found = Attempt::find(&attempt.state, &jar.headers(), &cookies, &keyring);
            assert!(found.is_some(), "the newest attempt is kept");
        }
        assert_eq!(jar.0.len(), MAX_ATTEMPTS);
    }

    #[test]
    fn long_return_paths_remove_other_attempts() {
        let mut jar = Jar::default();
        for _ in 0..7 {
            begin(&mut jar, &format!("/{}", "x".repeat(2000)));
        }
        let size: usize = jar.0.values().map(String::len).sum();
        assert!(size <= MAX_SIZE && jar.0.values().all(|v| v.len() < 3900), "{size}");
    }

    #[test]
    fn an_attempt_cookie_that_does_not_open_is_removed() {
        let mut jar = Jar::default();
        jar.0.insert("appliance-login-x".into(), "garbage".into());
        begin(&mut jar, "/");
        assert_eq!(jar.0.len(), 1);
    }
}
