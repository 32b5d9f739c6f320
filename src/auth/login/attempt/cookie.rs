//! A login attempt, which the browser keeps in one short sealed cookie.
//!
//! Each attempt has a cookie of its own, so that logins in two tabs both succeed. The cookie binds
//! state, nonce and PKCE verifier to the browser in which the login began; the appliance keeps
//! nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use openidconnect::{CsrfToken, PkceCodeChallenge};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::auth::cookie::{Binding, Cookies, Keyring, Purpose, cookies};
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::SessionId;

/// Lifetime of an attempt; Keycloak's login page lives as long.
const LIFETIME: Duration = Duration::from_mins(30);
/// Limits for the attempts of one browser: their number, and their total size in bytes. The browser
/// sends all of them with every request.
const MAX_ATTEMPTS: usize = 7;
const MAX_SIZE: usize = 7 * 1024;
/// A longer return path is not in the cookie but in the appliance's memory. With it, a few tabs that
/// start a login at the same moment would fill the request head.
const MAX_PATH: usize = 512;
/// End of the state of an attempt that was begun automatically.
const AGAIN: &str = ".again";

/// The first bytes of the SHA-256 of a `state`, which is itself a secret.
pub(super) type StateHash = [u8; 16];

/// A login that has begun. The order of the fields is the format of the cookie.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::auth::login) struct Attempt {
    /// `state` (RFC 6749 §4.1.1): `<id>.<secret>`; the id is part of the cookie's name.
    pub(in crate::auth::login) state: String,
    pub(in crate::auth::login) nonce: String,
    /// PKCE code verifier (RFC 7636 §4.1).
    pub(in crate::auth::login) verifier: String,
    /// Path to redirect to after the login; already checked. Empty if it is too long for the cookie.
    pub(in crate::auth::login) return_path: String,
    pub(in crate::auth::login) begun: Millis,
    /// See [`Beginning::again`].
    pub(in crate::auth::login) again: bool,
    /// See [`Beginning::disputed`].
    pub(in crate::auth::login) disputed: Vec<SessionId>,
    /// See [`Beginning::replaces`].
    pub(in crate::auth::login) replaces: Vec<SessionId>,
}

/// How a login begins.
#[derive(Debug, Default)]
pub(in crate::auth::login) struct Beginning {
    /// Path to redirect to after the login; already checked.
    pub(in crate::auth::login) return_path: String,
    /// The login begins automatically: the attempt before has expired at the issuer, or its cookie
    /// is missing. This happens only once in a row.
    pub(in crate::auth::login) again: bool,
    /// Sessions that one request carried together. The login ends them.
    pub(in crate::auth::login) disputed: Vec<SessionId>,
    /// Sessions that the browser had when the person typed the address of the login. The login
    /// replaces them without a question.
    pub(in crate::auth::login) replaces: Vec<SessionId>,
}

impl Attempt {
    pub(in crate::auth::login) fn begin(beginning: Beginning) -> Self {
        let Beginning { return_path, again, disputed, replaces } = beginning;
        let id = CsrfToken::new_random_len(6).into_secret();
        let secret = CsrfToken::new_random_len(16).into_secret();
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        Self {
            state: format!("{id}.{secret}{}", if again { AGAIN } else { "" }),
            nonce: CsrfToken::new_random_len(16).into_secret(),
            verifier: verifier.into_secret(),
            return_path,
            begun: clock::now(),
            again,
            disputed,
            replaces,
        }
    }

    /// Whether a state belongs to a login that began automatically.
    pub(in crate::auth::login) fn is_again(state: &str) -> bool {
        state.ends_with(AGAIN)
    }

    /// The attempt with this state in the browser's cookies, and its cookie's name. `None` if it
    /// began in another browser or has expired.
    pub(in crate::auth::login) fn find(
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
    pub(in crate::auth::login) fn cookies(
        &self,
        headers: &HeaderMap,
        cookies: &Cookies,
        keyring: &Keyring,
    ) -> Vec<HeaderValue> {
        let id = self.state.split('.').next().unwrap_or_default();
        let name = format!("{}{id}", cookies.login);
        let mut stored = self.clone();
        if stored.return_path.len() > MAX_PATH {
            stored.return_path.clear();
        }
        // Serializing plain data into memory cannot fail; an empty value would not open.
        let plain = postcard::to_stdvec(&stored).unwrap_or_default();
        let text = keyring.seal(binding(&name, cookies), &plain);
        let excess = excess_attempts(size(&name, text.as_bytes()), headers, cookies, keyring);
        let mut set = vec![cookies.set(&name, &text, LIFETIME)];
        set.extend(cookies.clear_all(excess.iter().map(String::as_str)));
        set
    }

    fn open(text: &[u8], name: &str, cookies: &Cookies, keyring: &Keyring) -> Option<Self> {
        let plain = keyring.open(binding(name, cookies), text)?;
        let attempt: Self = postcard::from_bytes(&plain).ok()?;
        (clock::now() < attempt.ends()).then_some(attempt)
    }

    /// When the attempt expires.
    pub(in crate::auth::login) fn ends(&self) -> Millis {
        self.begun.saturating_add(clock::millis(LIFETIME))
    }
}

/// Marks a browser that has come back once without its attempt, and has begun a new login by itself.
pub(in crate::auth::login) fn again_marker(cookies: &Cookies) -> String {
    format!("{}again", cookies.login)
}

pub(super) fn state_hash(state: &str) -> StateHash {
    let digest = Sha256::digest(state);
    std::array::from_fn(|at| digest[at])
}

/// What a cookie adds to a request, with `=` and `; `.
fn size(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + 3
}

fn binding<'a>(name: &'a str, cookies: &'a Cookies) -> Binding<'a> {
    Binding { purpose: Purpose::Login, name, host: &cookies.host }
}

/// Names of the attempt cookies that have to be removed so that a new one of `new` bytes keeps the
/// limits: first those that do not open, then the oldest.
fn excess_attempts(
    new: usize,
    headers: &HeaderMap,
    cookies: &Cookies,
    keyring: &Keyring,
) -> Vec<String> {
    let again = again_marker(cookies);
    let mut known: Vec<_> = cookies::all(headers)
        .filter_map(|(name, text)| {
            let name = std::str::from_utf8(name).ok()?;
            (name.starts_with(&cookies.login) && name != again).then(|| {
                let begun = Attempt::open(text, name, cookies, keyring).map_or(0, |a| a.begun);
                (begun, name.to_owned(), size(name, text))
            })
        })
        .collect();
    known.sort_unstable_by(|a, b| b.cmp(a));
    let (mut count, mut total) = (1, new);
    known.retain(|(begun, _, size)| {
        count += 1;
        total += size;
        *begun == 0 || count > MAX_ATTEMPTS || total > MAX_SIZE
    });
    known.into_iter().rev().map(|(_, name, _)| name).collect()
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
        (
            Keyring::parse(&key).unwrap(),
            Cookies::new("appliance", &url, &crate::auth::cookie::CookieNames::default()),
        )
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
        let return_path = return_path.to_owned();
        let attempt = Attempt::begin(Beginning { return_path, ..Beginning::default() });
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
    fn attempts_stay_small_however_long_their_return_paths_are() {
        for length in [10, 400, 512, 513, 2000, 14_000] {
            let mut jar = Jar::default();
            for _ in 0..20 {
                begin(&mut jar, &format!("/{}", "x".repeat(length)));
            }
            let size: usize = jar.0.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
            assert!(size <= MAX_SIZE && jar.0.len() >= 6, "{length}: {size}");
            // Tabs that all begin before the first answer comes.
            let all: usize = (0..8)
                .flat_map(|_| {
                    let mut one = Jar::default();
                    begin(&mut one, &format!("/{}", "x".repeat(length)));
                    one.0
                })
                .map(|(name, value)| name.len() + value.len() + 3)
                .sum();
            assert!(all < 8 * 1024, "{length}: {all}");
        }
    }

    #[test]
    fn a_thousand_planted_attempts_are_removed_a_few_at_a_time() {
        let mut jar = Jar::default();
        let first = begin(&mut jar, "/");
        for n in 0..1000 {
            jar.0.insert(format!("appliance-login-x{n}"), "rubbish".into());
        }
        let (keyring, cookies) = fixture();
        let attempt = Attempt::begin(Beginning::default());
        let set = attempt.cookies(&jar.headers(), &cookies, &keyring);
        assert_eq!(set.len(), 1 + cookies::MAX_REMOVALS);
        jar.take(&set);
        for attempt in [first, attempt] {
            let found = Attempt::find(&attempt.state, &jar.headers(), &cookies, &keyring);
            assert!(found.is_some(), "an attempt that opens is not removed first");
        }
    }

    #[test]
    fn the_state_tells_an_automatic_attempt() {
        let begin = |again| Attempt::begin(Beginning { again, ..Beginning::default() }).state;
        assert!(Attempt::is_again(&begin(true)) && !Attempt::is_again(&begin(false)));
    }

    #[test]
    fn an_attempt_cookie_that_does_not_open_is_removed() {
        let mut jar = Jar::default();
        jar.0.insert("appliance-login-x".into(), "garbage".into());
        begin(&mut jar, "/");
        assert_eq!(jar.0.len(), 1);
    }
}
