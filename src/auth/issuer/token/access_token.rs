//! Access tokens that programs bring (RFC 6750): which of the issuer's tokens are access tokens for
//! these apps (RFC 9068 §4).

use std::time::Duration;

use serde_json::{Map, Value};

use super::claim::{is_for_any, numeric_date};
use super::signed_token::TokenFault;
use crate::auth::issuer::watch::Issuer;
use crate::auth::person::claims;
use crate::auth::runtime::clock::{self, Millis};

/// An access token that is in force.
pub(crate) struct VerifiedAccessToken {
    pub(crate) subject: String,
    /// The claims about the person or the service account.
    pub(crate) claims: Map<String, Value>,
    /// When the token was issued; now if it does not say so.
    pub(crate) issued: Millis,
    /// It was issued later than that, however much the clocks differ; `None` if it does not say when.
    pub(crate) not_before: Option<Millis>,
    /// When the token ends, with the accepted difference of the clocks.
    pub(crate) ends: Millis,
    /// The session of the issuer that the token belongs to, if any.
    pub(crate) sid: Option<String>,
}

/// What an access token must say, at one moment.
pub(super) struct Terms<'a> {
    pub(super) issuer: &'a str,
    pub(super) audiences: &'a [String],
    pub(super) skew: Duration,
    pub(super) now: Millis,
}

impl Issuer {
    /// Verifies an access token that is a JWT. One of `audiences` must be in its `aud`.
    pub(crate) async fn verify_access_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<VerifiedAccessToken, TokenFault> {
        let signed = self.verify_signature(token).await?;
        let provider = self.provider().ok_or(TokenFault::NotReady)?;
        let terms = Terms {
            issuer: &provider.metadata.issuer,
            audiences,
            skew: self.clock_skew,
            now: clock::now(),
        };
        if terms.issuer != text(&signed.claims, "iss").unwrap_or_default() {
            return Err(TokenFault::Untrusted("another issuer has issued it"));
        }
        check_kind(signed.kind.as_deref(), &signed.claims)?;
        terms.check(signed.claims)
    }
}

impl Terms<'_> {
    /// The checks that a JWT and the answer to an introspection share.
    pub(super) fn check(
        &self,
        claims: Map<String, Value>,
    ) -> Result<VerifiedAccessToken, TokenFault> {
        let untrusted = |why| Err(TokenFault::Untrusted(why));
        if !is_for_any(claims.get("aud"), self.audiences) {
            return untrusted("it is for other programs: no `aud` of it is among [oidc] audiences");
        }
        // A token that is bound to a key proves nothing without that key (RFC 9449 §7.1, RFC 8705 §3).
        if claims.get("cnf").is_some_and(|cnf| !cnf.is_null()) {
            return untrusted("it is bound to a key of its client (DPoP or mTLS)");
        }
        let skew = clock::millis(self.skew);
        let soon = self.now.saturating_add(skew);
        for name in ["nbf", "iat"] {
            match claims.get(name).map(numeric_date) {
                Some(Some(at)) if at <= soon => {}
                Some(_) => return untrusted("it is not valid yet"),
                None => {}
            }
        }
        let Some(ends) = claims.get("exp").and_then(numeric_date) else {
            return untrusted("it does not say when it ends");
        };
        let ends = ends.saturating_add(skew);
        if ends <= self.now {
            return untrusted("it has expired");
        }
        let Some(subject) = text(&claims, "sub").filter(|subject| !subject.is_empty()) else {
            return untrusted(
                "it names no subject (`sub`); at Keycloak, give its client the client scope `basic`",
            );
        };
        let (subject, sid) = (subject.to_owned(), text(&claims, "sid").map(str::to_owned));
        // The issuer's clock may be ahead: an end of sessions reaches all tokens that were seen before it.
        let iat = claims.get("iat").and_then(numeric_date);
        let issued = iat.unwrap_or(self.now).min(self.now);
        let not_before = iat.map(|iat| iat.saturating_sub(skew));
        let claims = claims::about_the_person(claims);
        Ok(VerifiedAccessToken { subject, claims, issued, not_before, ends, sid })
    }
}

/// Whether the token is an access token. An ID token, a refresh token and a logout token of the same
/// issuer carry the same signature, and a browser or another program may have them. Keycloak names the
/// kind in the claim `typ`, RFC 9068 §2.1 in the header.
fn check_kind(header: Option<&str>, claims: &Map<String, Value>) -> Result<(), TokenFault> {
    let header = header.map(str::to_ascii_lowercase);
    let header = header.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    let claim = claims.get("typ");
    let is_access_token = match (header, claim) {
        (Some("at+jwt"), None) => true,
        (None | Some("jwt" | "at+jwt"), Some(Value::String(kind))) => {
            kind.eq_ignore_ascii_case("bearer")
        }
        _ => false,
    };
    // `events` makes a logout token, a hash of another token an ID token.
    let of_others = ["events", "at_hash", "c_hash"];
    if is_access_token && !of_others.iter().any(|&name| claims.contains_key(name)) {
        Ok(())
    } else {
        Err(TokenFault::Untrusted("it is no access token"))
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::auth::any;
    use serde_json::json;

    use super::*;

    const NOW: Millis = 1_800_000_000_000;
    const EXP: u64 = 1_800_000_100;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => panic!("no object"),
        }
    }

    fn good() -> Value {
        json!({"sub": "s-1", "aud": "reports", "exp": EXP, "iat": EXP - 200, "azp": "robot", "typ": "Bearer"})
    }

    fn checked(edit: impl FnOnce(&mut Value)) -> Result<VerifiedAccessToken, TokenFault> {
        let mut claims = good();
        edit(&mut claims);
        let audiences = ["reports".to_owned(), "apps".to_owned()];
        let (skew, issuer) = (Duration::from_secs(30), "https://id.example");
        Terms { issuer, audiences: &audiences, skew, now: NOW }.check(object(claims))
    }

    #[test]
    fn a_good_token_names_its_subject_its_end_and_its_client() {
        let token = checked(|_| {}).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!((token.subject.as_str(), token.ends), ("s-1", (EXP + 30) * 1000));
        assert_eq!(token.claims.get("azp"), Some(&json!("robot")));
        assert!(!token.claims.contains_key("exp"));
    }

    #[test]
    fn a_token_is_as_old_as_it_says_and_never_of_the_future() {
        let now = NOW / 1000;
        for (iat, issued, not_before) in [
            (json!(now - 100), NOW - 100_000, Some(NOW - 130_000)),
            (json!(now + 10), NOW, Some(NOW - 20_000)),
            (json!(null), NOW, None),
        ] {
            let token = checked(|claims| match &iat {
                Value::Null => drop(claims.as_object_mut().unwrap().remove("iat")),
                iat => claims["iat"] = iat.clone(),
            });
            let token = token.unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!((token.issued, token.not_before), (issued, not_before), "{iat}");
        }
    }

    #[test]
    fn the_audience_is_one_of_the_accepted() {
        for (aud, good) in [
            (json!("reports"), true),
            (json!(["account", "apps"]), true),
            (json!("account"), false),
            (json!(["Reports"]), false),
            (json!([]), false),
            (json!(null), false),
            (json!({"reports": 1}), false),
        ] {
            assert_eq!(checked(|claims| claims["aud"] = aud.clone()).is_ok(), good, "{aud}");
        }
    }

    #[test]
    fn a_token_is_in_force_between_its_times() {
        for (name, value, good) in [
            ("exp", json!(NOW / 1000 - 29), true),
            ("exp", json!(NOW / 1000 - 30), false),
            ("exp", json!(1_800_000_100.5), true),
            ("exp", json!("1900000000"), false),
            ("exp", json!(-1), false),
            ("exp", json!(null), false),
            ("nbf", json!(NOW / 1000 + 30), true),
            ("nbf", json!(NOW / 1000 + 31), false),
            ("nbf", json!("soon"), false),
            ("iat", json!(NOW / 1000 + 31), false),
            ("cnf", json!({"jkt": "x"}), false),
            ("cnf", json!(null), true),
            ("sub", json!(""), false),
            ("sub", json!(7), false),
        ] {
            assert_eq!(checked(|c| c[name] = value.clone()).is_ok(), good, "{name} {value}");
        }
        assert!(checked(|c| drop(c.as_object_mut().unwrap().remove("exp"))).is_err());
        assert!(checked(|c| drop(c.as_object_mut().unwrap().remove("sub"))).is_err());
    }

    #[test]
    fn only_access_tokens_are_access_tokens() {
        for (header, claims, good) in [
            (None, json!({"typ": "Bearer"}), true),
            (Some("JWT"), json!({"typ": "bearer"}), true),
            (Some("at+jwt"), json!({}), true),
            (Some("application/AT+JWT"), json!({}), true),
            (Some("at+jwt"), json!({"typ": "Bearer"}), true),
            (Some("JWT"), json!({}), false),
            (None, json!({}), false),
            (Some("at+jwt"), json!({"typ": "ID"}), false),
            (Some("at+jwt"), json!({"typ": 7}), false),
            (Some("logout+jwt"), json!({"typ": "Bearer"}), false),
            (Some("dpop+jwt"), json!({"typ": "Bearer"}), false),
            (Some("JWT"), json!({"typ": "ID"}), false),
            (Some("JWT"), json!({"typ": "Refresh"}), false),
            (Some("JWT"), json!({"typ": "Offline"}), false),
            (Some("JWT"), json!({"typ": "Logout"}), false),
            (Some("JWT"), json!({"typ": "DPoP"}), false),
            (Some("JWT"), json!({"typ": "Bearer", "events": {}}), false),
            (Some("JWT"), json!({"typ": "Bearer", "at_hash": "x"}), false),
        ] {
            let kind = check_kind(header, &object(claims.clone()));
            assert_eq!(kind.is_ok(), good, "{header:?} {claims}");
        }
    }

    /// Whether RFC 7519 and RFC 9068 let the token in, written without the code under test.
    fn is_acceptable(claims: &Map<String, Value>) -> bool {
        let [now, skew] = [1_800_000_000.0, 30.0];
        let seconds = |name: &str| claims.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
        let begun = |name: &str| seconds(name).is_none_or(|at| at >= 0.0 && at <= now + skew);
        let is_ours = |one: &Value| *one == json!("reports") || *one == json!("apps");
        let aud = claims.get("aud").is_some_and(|aud| match aud {
            Value::Array(all) => all.iter().any(is_ours),
            one => is_ours(one),
        });
        let sub = claims.get("sub").is_some_and(|sub| sub.is_string() && *sub != json!(""));
        let unbound = claims.get("cnf").is_none_or(Value::is_null);
        // A date in seconds that is no 64-bit number is no date.
        let ends = seconds("exp").is_some_and(|at| at + skew > now && at < 2.0_f64.powi(64));
        aud && sub && unbound && ends && begun("nbf") && begun("iat")
    }

    proptest! {
        #[test]
        fn whatever_a_token_says_only_one_in_force_for_these_apps_is_accepted(
            claims in any::claims(vec![
                ("sub", json!("s-1")),
                ("aud", json!(["account", "reports"])),
                ("exp", json!(EXP)),
                ("iat", json!(EXP - 200)),
                ("nbf", json!(EXP - 200)),
                ("cnf", Value::Null),
                ("sid", json!("one")),
            ]),
        ) {
            let audiences = ["reports".to_owned(), "apps".to_owned()];
            let (skew, issuer) = (Duration::from_secs(30), "https://id.example");
            let terms = Terms { issuer, audiences: &audiences, skew, now: NOW };
            prop_assert_eq!(terms.check(claims.clone()).is_ok(), is_acceptable(&claims));
        }
    }
}
