//! The signed assertion: who is signed in, said to one app so that it can check it by itself.
//!
//! A JWT (RFC 7519), ES256, under a key that never leaves `state_dir`. It holds for one app, five
//! minutes at most and never beyond its session. It cannot be taken back: an app that looks at
//! nothing else learns of a sign-out when it expires.

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

use crate::auth::Person;
use crate::auth::STATE_DIR;
use crate::auth::SetupError;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::mutex::Guarded;
use crate::config::{AppName, made_once};

/// The file of `state_dir` with the key: PKCS #8 as base64url.
const FILE: &str = "assertion-key";
/// From `iat` to `exp`, seconds.
const LIFE: u64 = 300;
/// Signing costs as much as a whole request, so an app gets the same assertion for three minutes;
/// whatever it gets is good for two more.
const KEPT: Duration = Duration::from_mins(3);

/// Our key, and in whose name it signs.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    /// `public_url`
    issuer: String,
    /// The first part of every assertion, encoded.
    head: String,
    /// The public key as a JWK set (RFC 7517 §5).
    pub(crate) keys: String,
}

/// The assertions of one session, a current one for each app that asked.
#[derive(Debug)]
pub(crate) struct Assertions {
    signer: Arc<Signer>,
    issued: Guarded<Vec<Issued>>,
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
    /// Only when the issuer says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    groups: &'a [String],
    iat: u64,
    exp: u64,
}

impl Signer {
    /// With the key of `state_dir`, which is made when there is none.
    pub(crate) fn open(state_dir: &Path, issuer: String) -> Result<Self, SetupError> {
        let key = made_once(state_dir, FILE, new_key)
            .map_err(|error| SetupError::new(STATE_DIR, error.to_string()))?;
        let damaged = || {
            let path = state_dir.join(FILE);
            let why = format!(
                "{} is no key that signs: remove it, and the next start makes another",
                path.display()
            );
            SetupError::new(STATE_DIR, why)
        };
        Self::with(key.expose_secret(), issuer).ok_or_else(damaged)
    }

    fn with(key: &str, issuer: String) -> Option<Self> {
        let pkcs8 = BASE64.decode(key).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ES256, &pkcs8, &SystemRandom::new()).ok()?;
        // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        // The thumbprint (RFC 7638 §3): another key never has the same name.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = BASE64.encode(Sha256::digest(members));
        let head = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
        let public = json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": kid, "alg": "ES256", "use": "sig",
        });
        let keys = json!({ "keys": [public] }).to_string();
        Some(Self { pair, issuer, head: BASE64.encode(head.to_string()), keys })
    }

    /// `exp` is in seconds since 1970. `None` when the system gives no random bytes.
    fn sign(&self, app: &AppName, person: &Person, iat: u64, exp: u64) -> Option<HeaderValue> {
        let claims = Claims {
            iss: &self.issuer,
            aud: app.as_str(),
            sub: &person.subject,
            email: person.email.known(),
            email_verified: person.email.is_verified().then_some(true),
            groups: &person.groups,
            iat,
            exp,
        };
        let claims = BASE64.encode(serde_json::to_vec(&claims).ok()?);
        let mut token = format!("{}.{claims}", self.head);
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
    Ok(BASE64.encode(key.map_err(|_| io::Error::other("the system gives no random bytes"))?))
}

impl Assertions {
    /// None yet.
    pub(crate) fn new(signer: Arc<Signer>) -> Self {
        Self { signer, issued: Guarded::default() }
    }

    /// A current one about `person`, whose session is over at `ends`.
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
        let exp = ends.div_ceil(1000).min(iat + LIFE);
        let Some(value) = self.signer.sign(app, person, iat, exp) else {
            warn!(%app, "an identity assertion could not be signed: the app gets none");
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
    /// One from the future is none: the clock was set back, and its `iat` would be refused.
    fn is_current(&self, person: &Arc<Person>, now: Millis) -> bool {
        Arc::ptr_eq(&self.person, person) && (self.at..self.at + clock::millis(KEPT)).contains(&now)
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

    /// What an app makes of it at a moment, in an implementation that is not ours.
    fn accepted(value: &HeaderValue, signer: &Signer, app: &str, at: Millis) -> Result<(), String> {
        let token: CoreIdToken = value.to_str().unwrap().parse().unwrap();
        let (client, issuer) = (ClientId::new(app.into()), IssuerUrl::new(HERE.into()).unwrap());
        let keys = serde_json::from_str(&signer.keys).unwrap();
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, keys)
            .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256])
            .set_time_fn(move || (UNIX_EPOCH + Duration::from_millis(at)).into());
        let checked = token.claims(&verifier, |_: Option<&Nonce>| Ok(()));
        checked.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_good_for_one_app_for_five_minutes() {
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
    fn it_ends_with_its_session_and_leaves_out_what_is_not_known() {
        let assertions = Assertions::new(signer());
        let nobody = Arc::new(person(json!({})));
        let value = assertions.current(&app("one"), &nobody, NOW + 1, NOW).unwrap();
        let claims = claims_of(&value);
        assert_eq!(claims["exp"], 1_800_000_001_u64);
        assert_eq!(claims["groups"], json!([]));
        assert_eq!(claims.get("email"), None);
    }

    #[test]
    fn it_vouches_for_no_unverified_address() {
        let assertions = Assertions::new(signer());
        for (claim, email, verified) in [
            (json!(false), Value::Null, Value::Null),
            (json!(null), json!("a@corp.example"), Value::Null),
            (json!(true), json!("a@corp.example"), json!(true)),
        ] {
            let someone = person(json!({"email": "a@corp.example", "email_verified": claim}));
            let value = assertions.current(&app("one"), &Arc::new(someone), FAR, NOW).unwrap();
            let claims = claims_of(&value);
            assert_eq!((&claims["email"], &claims["email_verified"]), (&email, &verified));
        }
    }

    #[test]
    fn it_is_signed_once_until_it_is_old_or_the_person_changes() {
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
        assert_eq!(assertions.issued.lock().len(), 1, "what is about the person before is gone");
    }

    #[test]
    fn the_key_stays_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Signer::open(dir.path(), HERE.into());
        let keys = open().unwrap().keys;
        assert_eq!(open().unwrap().keys, keys);
        assert!(!keys.contains("\"d\""));
        std::fs::write(dir.path().join(FILE), "c2hvcnQ\n").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains("remove it"), "{error}");
    }
}
