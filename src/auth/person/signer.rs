//! The signing key of the identity assertions: an ECDSA P-256 key that never leaves `state_dir`.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

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

use super::header_value;
use super::identity::Person;
use crate::auth::setup_error::{STATE_DIR, SetupError};
use crate::config::reserved;
use crate::config::{AppName, made_once};
use crate::telemetry::Throttle;

/// The file in `state_dir` that holds the private key: PKCS #8 as base64url.
const KEY_FILE: &str = reserved::ASSERTION_KEY;
/// Two dots and an encoded signature, bytes.
const SIGNATURE: usize = 2 + 86;

/// The signing key and the issuer name that it signs for.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    /// The claim `iss`: `public_url`.
    issuer: String,
    /// The JWT header, encoded; the same for every assertion.
    header: String,
    /// The public key as a JWK set (RFC 7517 §5).
    pub(crate) jwks: String,
    /// Assertions without their groups, by app.
    left_out: Throttle,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// Present only if the issuer says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    /// Missing if the assertion would become too long for a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<&'a str>>,
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

    /// The one that is known if both sign with the same key in the same name; otherwise this one.
    pub(crate) fn or_known(self, known: &Arc<Self>) -> Arc<Self> {
        let is_known = self.jwks == known.jwks && self.issuer == known.issuer;
        if is_known { Arc::clone(known) } else { Arc::new(self) }
    }

    pub(super) fn with(key: &str, issuer: String) -> Option<Self> {
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
        let header = BASE64.encode(header.to_string());
        Some(Self { pair, issuer, header, jwks, left_out: Throttle::default() })
    }

    /// Signs an assertion about `person` for `app`. `iat` and `exp` are seconds since 1970. Groups that
    /// make it too long for a header are left out, which is logged. `None` if the system provides no
    /// random bytes.
    pub(super) fn sign(
        &self,
        app: &AppName,
        person: &Person,
        iat: u64,
        exp: u64,
    ) -> Option<HeaderValue> {
        let mut claims = Claims {
            iss: &self.issuer,
            aud: app.as_str(),
            sub: &person.subject,
            email: person.email.known(),
            email_verified: person.email.is_verified().then_some(true),
            groups: Some(person.told_groups()),
            iat,
            exp,
        };
        let mut encoded = BASE64.encode(serde_json::to_vec(&claims).ok()?);
        if self.header.len() + encoded.len() + SIGNATURE > header_value::MOST {
            claims.groups = None;
            encoded = BASE64.encode(serde_json::to_vec(&claims).ok()?);
            if self.left_out.note(app.as_str(), Instant::now()).is_some() {
                warn!(
                    %app, user = person.user, groups = person.groups.len(),
                    "an assertion has no groups, because it would be too long for a header; \
                     set [oidc] groups_only to the groups that apps need"
                );
            }
        }
        let mut token = format!("{}.{encoded}", self.header);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        let mut value = HeaderValue::try_from(token).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A new private key, as the key file holds it.
pub(super) fn new_key() -> io::Result<String> {
    let key = EcdsaKeyPair::generate_pkcs8(&ES256, &SystemRandom::new());
    Ok(BASE64.encode(key.map_err(|_| io::Error::other("the system provides no random bytes"))?))
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_kept_and_a_damaged_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Signer::open(dir.path(), "http://localhost:8080".into());
        let jwks = open().unwrap().jwks;
        assert_eq!(open().unwrap().jwks, jwks);
        assert!(!jwks.contains("\"d\""));
        std::fs::write(dir.path().join(KEY_FILE), "c2hvcnQ\n").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(KEY_FILE) && error.contains("remove it"), "{error}");
    }
}
