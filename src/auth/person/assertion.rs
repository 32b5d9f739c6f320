//! The signed identity assertion: tells one app who is signed in, in a form that the app can verify
//! by itself.
//!
//! A JWT (RFC 7519) signed with ES256. It is valid for one app (`aud`), for at most five minutes
//! and never beyond its session. It cannot be revoked: an app that checks nothing else learns of a
//! sign-out only when its assertion expires.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tracing::warn;

use super::identity::Person;
use super::signer::Signer;
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};
use crate::config::AppName;

/// Time from `iat` to `exp`, seconds.
const LIFETIME: u64 = 300;
/// How long an app gets the same assertion, because signing costs as much CPU as a whole request.
/// What the app gets is therefore valid for at least two more minutes.
const REUSED_FOR: Duration = Duration::from_mins(3);

/// The assertions of one session: the current one of each app that has asked for one.
#[derive(Debug)]
pub(crate) struct Assertions {
    signer: ArcSwap<Signer>,
    issued: Mutex<Vec<Issued>>,
}

struct Issued {
    app: AppName,
    signer: Arc<Signer>,
    person: Arc<Person>,
    at: Millis,
    value: HeaderValue,
}

impl Assertions {
    /// A session starts without assertions.
    pub(crate) fn new(signer: Arc<Signer>) -> Self {
        Self { signer: ArcSwap::new(signer), issued: Mutex::default() }
    }

    /// Lets `signer` sign from now on; what another one has signed is not used any more.
    pub(crate) fn sign_with(&self, signer: &Arc<Signer>) {
        self.signer.store(Arc::clone(signer));
    }

    /// The current assertion about `person` for `app`; signs a new one if the last one is too old
    /// is about an earlier state of the person, or has the
    /// signature of an earlier key. It expires no later than `ends`, the end of the
    /// session, rounded up to a second. `None` if signing fails, which is logged.
    pub(crate) fn current(
        &self,
        app: &AppName,
        person: &Arc<Person>,
        ends: Millis,
        now: Millis,
    ) -> Option<HeaderValue> {
        let signer = self.signer.load_full();
        if let Some(issued) = self.issued.lock().iter().find(|one| one.app == *app)
            && issued.is_current(&signer, person, now)
        {
            return Some(issued.value.clone());
        }
        let iat = now / 1000;
        let exp = ends.div_ceil(1000).min(iat + LIFETIME);
        let Some(value) = signer.sign(app, person, iat, exp) else {
            warn!(%app, "cannot sign an identity assertion; the app gets none");
            return None;
        };
        let mut all = self.issued.lock();
        all.retain(|one| one.app != *app && one.is_current(&signer, person, now));
        let (app, person, issued) = (app.clone(), person.clone(), value.clone());
        all.push(Issued { app, signer, person, at: now, value: issued });
        Some(value)
    }
}

impl Issued {
    /// An assertion from the future is not current: the system clock was set back, and apps would
    /// refuse its `iat`.
    fn is_current(&self, signer: &Arc<Signer>, person: &Arc<Person>, now: Millis) -> bool {
        Arc::ptr_eq(&self.signer, signer)
            && Arc::ptr_eq(&self.person, person)
            && (self.at..self.at + clock::millis(REUSED_FOR)).contains(&now)
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
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::person::claims;
    use crate::auth::person::fixtures::person;
    use crate::auth::person::signer::new_key;

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
    fn an_assertion_omits_an_unverified_address() {
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
    fn an_assertion_is_reused_until_it_is_old_or_the_person_or_the_key_changes() {
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
        let before = get("one", &later, NOW + 180_000);
        assert_ne!(before, again);
        let next = signer();
        assertions.sign_with(&next);
        let after = get("one", &later, NOW + 180_000);
        assert_eq!(accepted(&after, &next, "one", NOW + 180_000), Ok(()), "the new key signs");
        assert_eq!(assertions.issued.lock().len(), 1, "what is not current is removed");
    }
}
