//! Token introspection (RFC 7662): asks the issuer about an access token that only it can read.

use http::StatusCode;
use serde_json::{Map, Value};

use super::access_token::{Terms, VerifiedAccessToken};
use super::signed_token::TokenFault;
use crate::auth::issuer::client_request;
use crate::auth::issuer::http_error::HttpError;
use crate::auth::issuer::watch::Issuer;
use crate::auth::runtime::clock;

/// Why an introspection brought no token.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IntrospectionError {
    #[error(transparent)]
    Untrusted(#[from] TokenFault),
    /// The issuer does not answer, or does not answer this client.
    #[error("the introspection endpoint {0}")]
    Unavailable(HttpError),
}

impl Issuer {
    /// Asks the issuer about an access token. A token that is no JWT is not trusted where the issuer
    /// offers no introspection.
    pub(crate) async fn introspect(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<VerifiedAccessToken, IntrospectionError> {
        let provider = self.provider().ok_or(TokenFault::NotReady)?;
        let url = provider.metadata.introspection_endpoint.as_deref();
        let url = url.ok_or(TokenFault::NotSigned)?;
        let form = [("token", token), ("token_type_hint", "access_token")];
        let request = client_request::post(url, &form, &provider, &self.registration)
            .ok_or(TokenFault::NotSigned)?;
        let response = self.http.send(request).await.map_err(|error| {
            self.report_failure();
            IntrospectionError::Unavailable(error)
        })?;
        if response.status() != StatusCode::OK {
            return Err(IntrospectionError::Unavailable(HttpError::Status(response.status())));
        }
        let terms = Terms {
            issuer: &provider.metadata.issuer,
            audiences,
            skew: self.clock_skew,
            now: clock::now(),
        };
        let answer = serde_json::from_slice(response.body())
            .map_err(|_| TokenFault::Untrusted("the issuer's answer about it cannot be read"))?;
        Ok(read(answer, &terms)?)
    }
}

/// Reads the answer (RFC 7662 §2.2). It says which kind the token has only at some issuers: Keycloak
/// answers `active` for a refresh token, too.
fn read(claims: Map<String, Value>, terms: &Terms<'_>) -> Result<VerifiedAccessToken, TokenFault> {
    if claims.get("active") != Some(&Value::Bool(true)) {
        return Err(TokenFault::Untrusted("the issuer says that it is not in force"));
    }
    let says = |name: &str, wanted: &str| match claims.get(name) {
        None | Some(Value::Null) => true,
        Some(value) => value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted)),
    };
    if !says("typ", "bearer") || !says("token_type", "bearer") || !says("token_use", "access_token")
    {
        return Err(TokenFault::Untrusted("it is no access token"));
    }
    if claims.get("iss").is_some_and(|issuer| issuer != terms.issuer) {
        return Err(TokenFault::Untrusted("another issuer has issued it"));
    }
    terms.check(claims)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn is_accepted(edit: impl FnOnce(&mut Value)) -> bool {
        let mut answer =
            json!({"active": true, "sub": "s-1", "aud": "apps", "exp": 2000, "client_id": "robot"});
        edit(&mut answer);
        let Value::Object(claims) = answer else { panic!("no object") };
        let audiences = ["apps".to_owned()];
        let (issuer, skew) = ("https://id.example", Duration::ZERO);
        read(claims, &Terms { issuer, audiences: &audiences, skew, now: 1_000_000 }).is_ok()
    }

    #[test]
    fn only_an_active_access_token_for_these_apps_is_accepted() {
        assert!(is_accepted(|_| {}));
        for (name, value, good) in [
            ("active", json!(false), false),
            ("active", json!("true"), false),
            ("typ", json!("Bearer"), true),
            ("typ", json!("Refresh"), false),
            ("token_type", json!("bearer"), true),
            ("token_type", json!("DPoP"), false),
            ("token_use", json!("refresh_token"), false),
            ("token_use", json!("access_token"), true),
            ("iss", json!("https://id.example"), true),
            ("iss", json!("https://evil.example"), false),
            ("aud", json!("account"), false),
            ("exp", json!(999), false),
        ] {
            assert_eq!(is_accepted(|a| a[name] = value.clone()), good, "{name} {value}");
        }
    }
}
