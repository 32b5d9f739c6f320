//! Logout tokens: the issuer says that a session of its own, or all sessions of a person, have ended
//! (OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6).

use serde_json::{Map, Value};

use super::claim::{is_for_any, numeric_date};
use super::signed_token::TokenFault;
use crate::auth::issuer::watch::Issuer;
use crate::auth::runtime::clock::{self, Millis};

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long after its issue a token is accepted, milliseconds, also if it says that it is valid for
/// longer: its use is remembered for as long. Issuers send a logout token at once.
const MAX_AGE: Millis = 10 * 60 * 1000;

/// The content of a logout token that has been verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogoutToken {
    /// Who is signed out: `sub`. At least one of `subject` and `sid` is there.
    pub(crate) subject: Option<String>,
    /// The session of the issuer that has ended. Without it, all sessions of the person have ended.
    pub(crate) sid: Option<String>,
    /// `jti`, which no other logout token of the issuer has.
    pub(crate) id: String,
    /// From when on the token is not accepted any more.
    pub(crate) ends: Millis,
}

/// What a logout token must say, at one moment.
struct Expected<'a> {
    issuer: &'a str,
    client_id: &'a String,
    skew: Millis,
    now: Millis,
}

impl Issuer {
    /// Verifies a logout token. Whether it was used before is not checked.
    pub(crate) async fn verify_logout_token(&self, token: &str) -> Result<LogoutToken, TokenFault> {
        let signed = self.verify_signature(token).await?;
        let provider = self.provider().ok_or(TokenFault::NotReady)?;
        let expected = Expected {
            issuer: &provider.metadata.issuer,
            client_id: &self.registration.client_id,
            skew: clock::millis(self.clock_skew),
            now: clock::now(),
        };
        check_kind(signed.kind.as_deref()).map_err(TokenFault::Untrusted)?;
        expected.read(&signed.claims).map_err(TokenFault::Untrusted)
    }
}

/// Whether the `typ` of a header may be that of a logout token. Explicit typing is recommended only
/// (§2.4), so a token without a type, or of the general one, is accepted.
fn check_kind(kind: Option<&str>) -> Result<(), &'static str> {
    let kind = kind.map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    match kind {
        None | Some("jwt" | "logout+jwt") => Ok(()),
        Some(_) => Err("its type is not that of a logout token"),
    }
}

impl Expected<'_> {
    fn read(&self, claims: &Map<String, Value>) -> Result<LogoutToken, &'static str> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer) {
            return Err("another issuer has issued it");
        }
        if !is_for_any(claims.get("aud"), std::slice::from_ref(self.client_id)) {
            return Err("it is for another client");
        }
        let is_logout = |events: &Value| events.get(EVENT).is_some_and(Value::is_object);
        if !claims.get("events").is_some_and(is_logout) {
            return Err("it does not say that a session has ended");
        }
        // So that an ID token cannot pass for a logout token.
        if claims.contains_key("nonce") {
            return Err("it has a nonce");
        }
        let ends = self.ends(claims)?;
        let id = text(claims, "jti")?.ok_or("it has no `jti`")?;
        let (subject, sid) = (text(claims, "sub")?, text(claims, "sid")?);
        if subject.is_none() && sid.is_none() {
            return Err("it names neither a person nor a session");
        }
        Ok(LogoutToken { subject, sid, id, ends })
    }

    fn ends(&self, claims: &Map<String, Value>) -> Result<Millis, &'static str> {
        let date = |name| claims.get(name).map(numeric_date);
        let soon = self.now.saturating_add(self.skew);
        let issued = match date("iat") {
            Some(Some(issued)) if issued <= soon => issued,
            Some(Some(_)) => return Err("it was issued in the future"),
            _ => return Err("it does not say when it was issued"),
        };
        if date("nbf").is_some_and(|begins| begins.is_none_or(|begins| begins > soon)) {
            return Err("it is not valid yet");
        }
        let Some(Some(expires)) = date("exp") else { return Err("it does not say when it ends") };
        let ends = expires.min(issued.saturating_add(MAX_AGE)).saturating_add(self.skew);
        if ends <= self.now {
            return Err("it has expired");
        }
        Ok(ends)
    }
}

/// A claim that is a text and not empty, if it is there.
fn text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err("one of `jti`, `sub` and `sid` is not a text"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Millis = 1_000_000_000;

    fn read(change: &Value) -> Result<LogoutToken, &'static str> {
        let seconds = NOW / 1000;
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "appliance", "iat": seconds,
            "exp": seconds + 120, "jti": "one", "sub": "alice", "sid": "s-1",
            "events": { EVENT: {} },
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut claims = claims.as_object().unwrap().clone();
        claims.retain(|_, value| *value != "absent");
        let expected = Expected {
            issuer: "https://issuer.example",
            client_id: &"appliance".to_owned(),
            skew: 30_000,
            now: NOW,
        };
        expected.read(&claims)
    }

    #[test]
    fn a_token_names_a_session_or_a_person_or_both() {
        let whole = read(&json!({})).unwrap();
        assert_eq!((whole.subject.as_deref(), whole.sid.as_deref()), (Some("alice"), Some("s-1")));
        assert_eq!((whole.id.as_str(), whole.ends), ("one", NOW + 150_000));
        assert_eq!(read(&json!({"sub": "absent"})).unwrap().subject, None);
        assert_eq!(read(&json!({"sid": "absent"})).unwrap().sid, None);
        for good in [
            json!({"aud": ["other", "appliance"]}),
            json!({"iat": NOW / 1000 + 29}),
            json!({"exp": NOW / 1000 - 29}),
            json!({"nbf": NOW / 1000 + 29}),
            json!({"iat": 1_000_000.5}),
            json!({"events": { EVENT: {}, "https://other.example": {} }}),
        ] {
            assert!(read(&good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_not_a_logout_token_for_this_client_at_this_time_is_refused() {
        let seconds = NOW / 1000;
        for bad in [
            json!({"iss": "https://issuer.example/"}),
            json!({"iss": "absent"}),
            json!({"aud": "other"}),
            json!({"aud": ["other"]}),
            json!({"aud": "absent"}),
            json!({"aud": {"appliance": true}}),
            json!({"iat": "absent"}),
            json!({"iat": seconds + 31}),
            json!({"iat": "now"}),
            json!({"iat": seconds - 700, "exp": seconds + 700}),
            json!({"exp": "absent"}),
            json!({"exp": seconds - 31}),
            json!({"exp": -1}),
            json!({"nbf": seconds + 31}),
            json!({"nbf": "soon"}),
            json!({"jti": "absent"}),
            json!({"jti": ""}),
            json!({"jti": 7}),
            json!({"events": "absent"}),
            json!({"events": {}}),
            json!({"events": [EVENT]}),
            json!({"events": { EVENT: true }}),
            json!({"events": {"https://other.example": {}}}),
            json!({"nonce": "n"}),
            json!({"nonce": null}),
            json!({"sub": "absent", "sid": "absent"}),
            json!({"sub": "", "sid": "absent"}),
            json!({"sub": ""}),
            json!({"sid": 7}),
            json!({"sid": ["s-1"]}),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_life_is_cut() {
        let day = read(&json!({"exp": NOW / 1000 + 86_400})).unwrap();
        assert_eq!(day.ends, NOW + MAX_AGE + 30_000);
    }

    #[test]
    fn the_type_of_another_token_is_refused() {
        for good in [None, Some("JWT"), Some("logout+jwt"), Some("application/logout+JWT")] {
            assert!(check_kind(good).is_ok(), "{good:?}");
        }
        for bad in ["at+jwt", "secevent+jwt", ""] {
            assert!(check_kind(Some(bad)).is_err(), "{bad}");
        }
    }
}
