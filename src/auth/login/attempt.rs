//! A login begins: an attempt, remembered by the browser in one short sealed cookie.
//!
//! Each attempt has a cookie of its own, so that two tabs both succeed. It binds state, nonce and
//! PKCE verifier to the browser that began; nothing is kept here.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use serde::{Deserialize, Serialize};

use crate::auth::cookie::cookies::{self as cookie, Cookies};
use crate::auth::cookie::seal::{Binding, Keyring, Purpose};
use crate::auth::issuer::provider::Client;
use crate::auth::runtime::clock::{self, Millis};
use crate::config::Oidc;

/// As long as Keycloak's own patience with a login page.
const PATIENCE: Duration = Duration::from_mins(30);
/// Attempts of one browser at a time, and what they may weigh together: a request has to carry
/// them all.
const MAX_ATTEMPTS: usize = 7;
const MAX_WEIGHT: usize = 6 * 1024;

/// A login that has begun.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// `<id>.<secret>`; the id names the cookie.
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// PKCE (RFC 7636).
    pub(crate) verifier: String,
    /// Where to go afterwards; checked.
    pub(crate) way_back: String,
    pub(crate) begun: Millis,
    /// It was begun because an earlier one ran out at the issuer: not a third time.
    pub(crate) again: bool,
}

/// What is asked of the issuer at each login.
#[derive(Debug)]
pub(crate) struct Asked {
    scopes: Vec<String>,
    params: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn new(oidc: &Oidc) -> Self {
        // The client adds `openid` by itself.
        let scopes = oidc.scopes.iter().filter(|scope| *scope != "openid").cloned().collect();
        Self { scopes, params: oidc.login_params.clone() }
    }

    /// Where the browser is sent (OpenID Connect Core §3.1.2.1).
    pub(crate) fn url(&self, client: &Client, attempt: &Attempt, callback: &RedirectUrl) -> String {
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .set_redirect_uri(Cow::Borrowed(callback))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for (name, value) in &self.params {
            request = request.add_extra_param(name, value);
        }
        request.url().0.to_string()
    }
}

impl Attempt {
    pub(crate) fn begin(way_back: String, again: bool) -> Self {
        let id = CsrfToken::new_random_len(6).into_secret();
        let secret = CsrfToken::new_random_len(16).into_secret();
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        Self {
            state: format!("{id}.{secret}"),
            nonce: CsrfToken::new_random_len(16).into_secret(),
            verifier: verifier.into_secret(),
            way_back,
            begun: clock::now(),
            again,
        }
    }

    /// The attempt in this browser that the state belongs to, and its cookie's name. `None` when
    /// it began elsewhere, or too long ago.
    pub(crate) fn find(
        state: &str,
        headers: &HeaderMap,
        cookies: &Cookies,
        keyring: &Keyring,
    ) -> Option<(Self, String)> {
        let (id, _) = state.split_once('.')?;
        let name = format!("{}{id}", cookies.login);
        let found = cookie::named(headers, &name).find_map(|text| {
            Self::open(text, &name, cookies, keyring).filter(|attempt| attempt.state == state)
        });
        Some((found?, name))
    }

    /// Seals it into a cookie. Returned with it: the removal of attempts that are too many.
    pub(crate) fn cookies(
        &self,
        headers: &HeaderMap,
        cookies: &Cookies,
        keyring: &Keyring,
    ) -> Vec<HeaderValue> {
        let id = self.state.split('.').next().unwrap_or_default();
        let name = format!("{}{id}", cookies.login);
        // Plain data, into memory: it cannot fail, and nothing at all would open as no attempt.
        let plain = postcard::to_stdvec(self).unwrap_or_default();
        let text = keyring.seal(binding(&name, cookies), &plain);
        let superfluous = superfluous(text.len(), headers, cookies, keyring);
        let mut set = vec![cookies.set(&name, &text, PATIENCE)];
        set.extend(superfluous.iter().map(|name| cookies.clear(name)));
        set
    }

    fn open(text: &[u8], name: &str, cookies: &Cookies, keyring: &Keyring) -> Option<Self> {
        let plain = keyring.open(binding(name, cookies), text)?;
        let attempt: Self = postcard::from_bytes(&plain).ok()?;
        (clock::now() < attempt.ends()).then_some(attempt)
    }

    /// When nobody needs to know it any more.
    pub(crate) fn ends(&self) -> Millis {
        self.begun.saturating_add(clock::millis(PATIENCE))
    }
}

fn binding<'a>(name: &'a str, cookies: &'a Cookies) -> Binding<'a> {
    Binding { purpose: Purpose::Login, name, host: &cookies.host }
}

/// Names of attempts that have to go, so that a new one of this weight has its place: what cannot
/// be opened first, then the oldest.
fn superfluous(
    weight: usize,
    headers: &HeaderMap,
    cookies: &Cookies,
    keyring: &Keyring,
) -> Vec<String> {
    let mut known: Vec<_> = cookie::all(headers)
        .filter_map(|(name, text)| {
            let name = std::str::from_utf8(name).ok()?;
            name.starts_with(&cookies.login).then(|| {
                let begun = Attempt::open(text, name, cookies, keyring).map_or(0, |a| a.begun);
                (begun, name.to_owned(), text.len())
            })
        })
        .collect();
    known.sort_unstable_by(|a, b| b.cmp(a));
    let (mut count, mut weight) = (1, weight);
    known.retain(|(begun, _, size)| {
        count += 1;
        weight += size;
        *begun == 0 || count > MAX_ATTEMPTS || weight > MAX_WEIGHT
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

    /// A browser's jar, by the `Set-Cookie` values it is sent.
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

    fn begin(jar: &mut Jar, way_back: &str) -> Attempt {
        let (keyring, cookies) = fixture();
        let attempt = Attempt::begin(way_back.into(), false);
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
            assert_eq!(found.way_back, attempt.way_back);
            assert!(jar.0.contains_key(&name));
        }
    }

    #[test]
    fn an_attempt_of_another_browser_or_with_another_state_is_none() {
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
        // Another attempt's cookie under this one's name does not open.
        let (name, value) = other.0.pop_first().unwrap();
        assert!(name.starts_with(&cookies.login));
        let id = attempt.state.split('.').next().unwrap();
        mine.0.insert(format!("{}{id}", cookies.login), value);
        assert!(!find(&attempt.state, &mine));
    }

    #[test]
    fn at_most_seven_and_the_oldest_goes() {
        let (keyring, cookies) = fixture();
        let mut jar = Jar::default();
        for n in 0..30 {
            let attempt = begin(&mut jar, &format!("/app/tab{n}"));
            assert!(jar.0.len() <= MAX_ATTEMPTS);
            let found = Attempt::find(&attempt.state, &jar.headers(), &cookies, &keyring);
            assert!(found.is_some(), "the newest is there");
        }
        assert_eq!(jar.0.len(), MAX_ATTEMPTS);
    }

    #[test]
    fn long_ways_back_take_the_place_of_others() {
        let mut jar = Jar::default();
        for _ in 0..7 {
            begin(&mut jar, &format!("/{}", "x".repeat(2000)));
        }
        let weight: usize = jar.0.values().map(String::len).sum();
        assert!(weight <= MAX_WEIGHT && jar.0.values().all(|v| v.len() < 3900), "{weight}");
    }

    #[test]
    fn rubbish_under_our_names_is_cleared() {
        let mut jar = Jar::default();
        jar.0.insert("appliance-login-x".into(), "rubbish".into());
        begin(&mut jar, "/");
        assert_eq!(jar.0.len(), 1);
    }
}
