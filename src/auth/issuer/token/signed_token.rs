//! JWTs that an issuer signs and that others bring: their signature (RFC 7515 §5.2).

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm as Algorithm};
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::debug;

use crate::auth::issuer::keys::Source;
use crate::auth::issuer::provider::{self, ALGORITHMS, Provider};
use crate::auth::issuer::watch::Issuer;

/// The content of a JWT whose signature is valid. Nothing else of it was checked.
pub(crate) struct SignedToken {
    /// `typ` of the header (RFC 7515 §4.1.9).
    pub(super) kind: Option<String>,
    pub(super) claims: Map<String, Value>,
}

/// Why a token is not trusted. The texts are for the log; none quotes the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("it is not a signed JWT")]
    NotSigned,
    #[error("its signing key is not among the issuer's keys")]
    UnknownKey,
    #[error("its signature is not valid")]
    BadSignature,
    #[error("{0}")]
    Untrusted(&'static str),
    #[error("the issuer is not ready")]
    NotReady,
}

/// The header, as far as it matters.
#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// How many keys are tried for one token. A token need not name its key, and anybody can send one.
const MOST_TRIED: usize = 16;

/// The parts of a token in compact form.
struct Parts<'t> {
    header: Header,
    claims: Map<String, Value>,
    message: &'t [u8],
    signature: Vec<u8>,
}

impl Issuer {
    /// Verifies the signature of a JWT in compact form. If the key is unknown or the signature does
    /// not match, the issuer's keys are fetched once, at most every 30 seconds, and the token is
    /// verified again: a new key may have the id of an old one.
    pub(crate) async fn verify_signature(&self, token: &str) -> Result<SignedToken, TokenFault> {
        let parts = Parts::of(token).ok_or(TokenFault::NotSigned)?;
        parts.header.check()?;
        let provider = self.provider().ok_or(TokenFault::NotReady)?;
        match parts.verify(&provider) {
            Err(fault @ (TokenFault::UnknownKey | TokenFault::BadSignature)) => {
                if !self.renew_keys(Source::Client, &provider).await {
                    return Err(fault);
                }
                debug!("the issuer has new keys");
                parts.verify(&self.provider().unwrap_or(provider))?;
            }
            done => done?,
        }
        Ok(SignedToken { kind: parts.header.typ, claims: parts.claims })
    }
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decoded = |part: &str| BASE64.decode(part).ok();
        Some(Self {
            header: serde_json::from_slice(&decoded(header)?).ok()?,
            claims: serde_json::from_slice(&decoded(claims)?).ok()?,
            message: message.as_bytes(),
            signature: decoded(signature)?,
        })
    }

    fn verify(&self, provider: &Arc<Provider>) -> Result<(), TokenFault> {
        let mut fault = TokenFault::UnknownKey;
        let named = provider.keys.keys().iter().filter(|key| self.header.names(key));
        for key in named.take(MOST_TRIED) {
            match key.verify_signature(&self.header.alg, self.message, &self.signature) {
                Ok(()) => return Ok(()),
                Err(_) => fault = TokenFault::BadSignature,
            }
        }
        Err(fault)
    }
}

impl Header {
    fn check(&self) -> Result<(), TokenFault> {
        if !ALGORITHMS.contains(&self.alg) {
            return Err(TokenFault::Untrusted("its algorithm is not accepted"));
        }
        // RFC 7515 §4.1.11: a token with an extension that is not understood is not valid.
        match self.crit {
            Some(_) => Err(TokenFault::Untrusted("its header has critical extensions")),
            None => Ok(()),
        }
    }

    /// Whether the key may have made the signature, as far as the header says.
    fn names(&self, key: &CoreJsonWebKey) -> bool {
        let same_id = match (&self.kid, key.key_id()) {
            (Some(kid), Some(id)) => kid == id.as_str(),
            _ => true,
        };
        same_id && provider::can_verify_with(key, &self.alg)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value, claims: &str) -> String {
        let part = |text: &str| BASE64.encode(text);
        format!("{}.{}.{}", part(&header.to_string()), part(claims), part("x"))
    }

    fn fault_of(header: &Value) -> Option<TokenFault> {
        let text = token(header, "{}");
        let Some(parts) = Parts::of(&text) else { return Some(TokenFault::NotSigned) };
        parts.header.check().err()
    }

    #[test]
    fn only_asymmetric_algorithms_and_no_extensions_are_accepted() {
        assert_eq!(fault_of(&json!({"alg": "RS256"})), None);
        assert_eq!(fault_of(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "1"})), None);
        for alg in ["none", "HS256", "HS512"] {
            assert!(fault_of(&json!({"alg": alg})).is_some(), "{alg}");
        }
        for bad in [
            json!({}),
            json!({"alg": 7}),
            json!({"alg": "RS256", "crit": ["b64"]}),
            json!({"alg": "RS256", "kid": 7}),
            json!([]),
        ] {
            assert!(fault_of(&bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_signed_token_has_three_parts() {
        let good = token(&json!({"alg": "RS256"}), "{}");
        assert!(Parts::of(&good).is_some());
        for bad in ["", ".", "..", "a.b.c", "opaque", &format!("{good}.x"), &good[1..]] {
            assert!(Parts::of(bad).is_none(), "{bad}");
        }
        assert!(Parts::of(&token(&json!({"alg": "RS256"}), "[]")).is_none());
    }
}
