//! The signed identity assertion: tells one app who is signed in, in a form that the app can verify
//! by itself.
//!
//! A JWT (RFC 7519) signed with ES256 under a key that never leaves `state_dir`. It is valid for
//! one app (`aud`), for at most five minutes and never beyond its session. It cannot be revoked: an
//! app that checks nothing else learns of a sign-out only when its assertion expires.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::HeaderValue;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::identity::Person;
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::setup_error::{STATE_DIR, SetupError};
use crate::config::{AppName, made_once};

/// The file in `state_dir` that holds the private key: PKCS #8 as base64url.
const KEY_FILE: &str = "assertion-key";
/// Time from `iat` to `exp`, seconds.
const LIFETIME: u64 = 300;
/// How long an app gets the same assertion, because signing costs as much CPU as a whole request.
/// What the app gets is therefore valid for at least two more minutes.
const REUSED_FOR: Duration = Duration::from_mins(3);

/// The signing key and the issuer name that it signs for.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    /// The claim `iss`: `public_url`.
    issuer: String,
    /// The JWT header, encoded; the same for every assertion.
    header: String,
    /// The public key as a JWK set (RFC 7517 §5).
    pub(crate) jwks: String,
}

/// The assertions of one session: the current one of each app that has asked for one.
#[derive(Debug)]
pub(crate) struct Assertions {
    signer: Arc<Signer>,
    issued: Mutex<Vec<Issued>>,
}

struct Issued {
    app: AppName,
    person: Arc<Person>,
    at: Millis,
    value: HeaderValue,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    groups: &'a [String],
    iat: u64,
    exp: u64,
}

impl Signer {
    /// Reads the key from `state_dir`; creates one if there is none.
    pub(crate) fn open(state_dir: &Path, issuer: String) -> Result<Self, SetupError> {
        let key = made_once(state_dir, KEY_FILE, new_key)
            .map_err(|error| SetupError::new(STATE_DIR, error.to_string()))?;
        let damaged = || {
            let path = state_dir.join(KEY_FILE);
            let reason = format!(
                "{} is not a usable signing key: remove it, and the next start creates a new one",
                path.display()
            );
            SetupError::new(STATE_DIR, reason)
        };
        Self::with(key.expose_secret(), issuer).ok_or_else(damaged)
    }

    fn with(key: &str, issuer: String) -> Option<Self> {
        let pkcs8 = BASE64.decode(key).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ES256, &pkcs8, &SystemRandom::new()).ok()?;
        // The public key is an uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        // The key ID is the JWK thumbprint (RFC 7638 §3), so that no two keys share one.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = BASE64.encode(Sha256::digest(members));
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
        let public = json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": kid, "alg": "ES256", "use": "sig",
        });
        let jwks = json!({ "keys": [public] }).to_string();
        Some(Self { pair, issuer, header: BASE64.encode(header.to_string()), jwks })
    }

    /// Signs an assertion about `person` for `app`. `iat` and `exp` are seconds since 1970. `None`
    /// if the system provides no random bytes.
    fn sign(&self, app: &AppName, person: &Person, iat: u64, exp: u64) -> Option<HeaderValue> {
        let claims = Claims {
            iss: &self.issuer,
            aud: app.as_str(),
            sub: &person.subject,
            email: person.email.as_deref(),
            groups: &person.groups,
            iat,
            exp,
        };
        let claims = BASE64.encode(serde_json::to_vec(&claims).ok()?);
        let mut token = format!("{}.{claims}", self.header);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        let mut value = HeaderValue::try_from(token).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn new_key() -> io::Result<String> {
    let key = EcdsaKeyPair::generate_pkcs8(&ES256, &SystemRandom::new());
    Ok(BASE64.encode(key.map_err(|_| io::Error::other("the system provides no random bytes"))?))
}

impl Assertions {
    /// A session starts without assertions.
    pub(crate) fn new(signer: Arc<Signer>) -> Self {
        Self { signer, issued: Mutex::default() }
    }

    /// The current assertion about `person` for `app`; signs a new one if the last one is too old
    /// or is about an earlier state of the person. It expires no later than `ends`, the end of the
    /// session. `None` if signing fails, which is logged.
    pub(crate) fn current(
        &self,
        app: &AppName,
        person: &Arc<Person>,
        ends: Millis,
        now: Millis,
    ) -> Option<HeaderValue> {
        if let Some(issued) = self.issued.lock().iter().find(|one| one.app == *app)
            && issued.is_current(person, now)
        {
            return Some(issued.value.clone());
        }
        let iat = now / 1000;
        let exp = ends.div_ceil(1000).min(iat + LIFETIME);
        let Some(value) = self.signer.sign(app, person, iat, exp) else {
            warn!(%app, "cannot sign an identity assertion; the app gets none");
            return None;
        };
        let issued = Issued { app: app.clone(), person: person.clone(), at: now, value };
        let value = issued.value.clone();
        let mut all = self.issued.lock();
        all.retain(|one| one.app != *app && one.is_current(person, now));
        all.push(issued);
        Some(value)
    }
}

impl Issued {
    /// An assertion from the future is not current: the system clock was set back, and apps would
    /// refuse its `iat`.
    fn is_current(&self, person: &Arc<Person>, now: Millis) -> bool {
        Arc::ptr_eq(&self.person, person)
            && (self.at..self.at + clock::millis(REUSED_FOR)).contains(&now)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("app", &self.app).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm};
    use openidconnect::{ClientId, IssuerUrl, Nonce};
    use serde_json::Value;

    use super::*;
    use crate::auth::person::claims;
    use crate::auth::person::fixtures::person;

    const HERE: &str = "http://localhost:8080";
    const NOW: Millis = 1_800_000_000_500;
    const FAR: Millis = NOW + 3_600_000;

    fn signer() -> Arc<Signer> {
        Arc::new(Signer::with(&new_key().unwrap(), HERE.into()).unwrap())
    }

    fn alice() -> Arc<Person> {
        Arc::new(person(json!({"email": "a@corp.example", "groups": ["staff", "a,b"]})))
    }

    fn app(name: &str) -> AppName {
        AppName::new(name).unwrap()
    }

    fn claims_of(value: &HeaderValue) -> Value {
        Value::Object(claims::payload(value.to_str().unwrap()).unwrap())
    }

    /// Verifies an assertion as an app would at the time `at`, with an independent implementation.
    fn accepted(value: &HeaderValue, signer: &Signer, app: &str, at: Millis) -> Result<(), String> {
        let token: CoreIdToken = value.to_str().unwrap().parse().unwrap();
        let (client, issuer) = (ClientId::new(app.into()), IssuerUrl::new(HERE.into()).unwrap());
        let keys = serde_json::from_str(&signer.jwks).unwrap();
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, keys)
            .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256])
            .set_time_fn(move || (UNIX_EPOCH + Duration::from_millis(at)).into());
        let checked = token.claims(&verifier, |_: Option<&Nonce>| Ok(()));
        checked.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn an_assertion_is_valid_for_one_app_for_five_minutes() {
        let signer = signer();
        let assertions = Assertions::new(signer.clone());
        let value = assertions.current(&app("one"), &alice(), FAR, NOW).unwrap();
        let wanted = json!({
            "iss": HERE, "aud": "one", "sub": "sub-1", "email": "a@corp.example",
            "groups": ["staff", "a,b"], "iat": 1_800_000_000_u64, "exp": 1_800_000_300_u64,
        });
        assert_eq!(claims_of(&value), wanted);
        assert_eq!(accepted(&value, &signer, "one", NOW), Ok(()));
        assert_eq!(accepted(&value, &signer, "one", NOW + 299_000), Ok(()));
        for (app, at) in [("one", NOW + 300_000), ("two", NOW)] {
            assert!(accepted(&value, &signer, app, at).is_err(), "{app} {at}");
        }
        assert!(accepted(&value, &self::signer(), "one", NOW).is_err(), "another key");
    }

    #[test]
    fn an_assertion_ends_with_its_session_and_omits_missing_claims() {
        let assertions = Assertions::new(signer());
        let nobody = Arc::new(person(json!({})));
        let value = assertions.current(&app("one"), &nobody, NOW + 1, NOW).unwrap();
        let claims = claims_of(&value);
        assert_eq!(claims["exp"], 1_800_000_001_u64);
        assert_eq!(claims["groups"], json!([]));
        assert_eq!(claims.get("email"), None);
    }

    #[test]
    fn an_assertion_is_reused_until_it_is_old_or_the_person_changes() {
        let assertions = Assertions::new(signer());
        let (alice, later) = (alice(), alice());
        let get = |name, person, now| assertions.current(&app(name), person, FAR, now).unwrap();
        let first = get("one", &alice, NOW);
        for (name, person, now, same) in [
            ("one", &alice, NOW, true),
            ("two", &alice, NOW, false),
            ("one", &alice, NOW + 179_999, true),
            ("one", &alice, NOW - 1, false),
            ("one", &alice, NOW, false),
        ] {
            assert_eq!(get(name, person, now) == first, same, "{name} {now}");
        }
        let again = get("one", &alice, NOW + 180_000);
        assert_eq!(claims_of(&again)["iat"], 1_800_000_180_u64);
        assert_ne!(get("one", &later, NOW + 180_000), again);
        assert_eq!(
            assertions.issued.lock().len(),
            1,
            "assertions about the earlier person are removed"
        );
    }

    #[test]
    fn the_key_is_kept_and_a_damaged_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Signer::open(dir.path(), HERE.into());
        let jwks = open().unwrap().jwks;
        assert_eq!(open().unwrap().jwks, jwks);
        assert!(!jwks.contains("\"d\""));
        std::fs::write(dir.path().join(KEY_FILE), "c2hvcnQ\n").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(KEY_FILE) && error.contains("remove it"), "{error}");
    }
}
