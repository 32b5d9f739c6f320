//! ID token verification (OpenID Connect Core §3.1.3.7).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use openidconnect::core::CoreIdToken;
use openidconnect::{
    ClaimsVerificationError, IdTokenVerifier, IssuerUrl, Nonce, SignatureVerificationError,
};
use serde_json::{Map, Value};
use tracing::debug;

use crate::auth::issuer::keys::Source;
use crate::auth::issuer::provider::{ALGORITHMS, Provider};
use crate::auth::issuer::untrusted_text::one_line;
use crate::auth::issuer::watch::Issuer;
use crate::auth::person::claims;

/// The content of an ID token that has been verified.
pub(crate) struct VerifiedIdToken {
    pub(crate) subject: String,
    /// Identifier of the issuer's session (OpenID Connect Front-Channel Logout 1.0 §3).
    pub(crate) sid: Option<String>,
    /// The claims about the person.
    pub(crate) claims: Map<String, Value>,
}

/// An ID token that must not be trusted. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error("its signing key is not among the issuer's keys")]
    UnknownKey,
    #[error("its signature is not valid")]
    BadSignature,
    #[error("{0}")]
    Untrusted(String),
}

impl Issuer {
    /// Verifies an ID token: that of a login with its `nonce`, that of a refresh with `None`. If
    /// the key is unknown or the signature does not match, the issuer's keys are fetched once and
    /// the token is verified again: a new key may have the id of an old one.
    pub(crate) async fn verify_id_token(
        &self,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<VerifiedIdToken, IdTokenError> {
        let provider = self
            .provider()
            .ok_or_else(|| IdTokenError::Untrusted("the issuer is not ready".to_owned()))?;
        match self.verify_with(&provider, token, nonce) {
            Err(error @ (IdTokenError::UnknownKey | IdTokenError::BadSignature)) => {
                if !self.renew_keys(Source::Issuer, &provider).await {
                    return Err(error);
                }
                debug!("the issuer has new keys");
                let provider = self.provider().unwrap_or(provider);
                self.verify_with(&provider, token, nonce)
            }
            done => done,
        }
    }

    fn verify_with(
        &self,
        provider: &Arc<Provider>,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<VerifiedIdToken, IdTokenError> {
        let skew = self.clock_skew;
        let client_id = &self.registration.client_id;
        let issuer = IssuerUrl::new(provider.metadata.issuer.clone())
            .map_err(|error| IdTokenError::Untrusted(error.to_string()))?;
        let azp = claims::payload(&token.to_string())
            .ok_or_else(|| IdTokenError::Untrusted("it is not a JWT".to_owned()))?
            .remove("azp");
        // Further audiences are accepted only if `azp` says that the token was issued to this
        // client.
        let issued_to_client = azp.as_ref().and_then(Value::as_str) == Some(client_id.as_str());
        if azp.is_some() && !issued_to_client {
            return Err(IdTokenError::Untrusted("it was issued to another client".to_owned()));
        }
        let verifier =
            IdTokenVerifier::new_public_client(client_id.clone(), issuer, provider.keys.clone())
                .set_allowed_algs(ALGORITHMS)
                .set_other_audience_verifier_fn(move |_| issued_to_client)
                .set_time_fn(move || (SystemTime::now() - skew).into())
                .set_issue_time_verifier_fn(move |at| {
                    let future = SystemTime::from(at) > SystemTime::now() + skew;
                    if future { Err("it was issued in the future".to_owned()) } else { Ok(()) }
                });
        let same_nonce = |found: Option<&Nonce>| match nonce {
            None => Ok(()),
            Some(nonce) if found.is_some_and(|found| found.secret() == nonce) => Ok(()),
            Some(_) => Err("its nonce is not that of the login".to_owned()),
        };
        let subject = token.claims(&verifier, same_nonce)?.subject().to_string();
        let claims = claims::payload(&token.to_string()).unwrap_or_default();
        check_subject_and_nbf(subject, claims, skew)
    }
}

/// The checks that `openidconnect` does not make: a subject that is not empty, and `nbf`
/// (RFC 7519 §4.1.5).
fn check_subject_and_nbf(
    subject: String,
    claims: Map<String, Value>,
    skew: Duration,
) -> Result<VerifiedIdToken, IdTokenError> {
    if subject.is_empty() {
        return Err(IdTokenError::Untrusted("its subject is empty".to_owned()));
    }
    let soon = SystemTime::now() + skew;
    let soon = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    // A NumericDate may have a fraction (RFC 7519 §2).
    if claims.get("nbf").is_some_and(|nbf| nbf.as_f64().is_none_or(|nbf| nbf > soon)) {
        return Err(IdTokenError::Untrusted("it is not valid yet".to_owned()));
    }
    let sid = claims.get("sid").and_then(Value::as_str).map(str::to_owned);
    Ok(VerifiedIdToken { subject, sid, claims: claims::about_the_person(claims) })
}

impl From<ClaimsVerificationError> for IdTokenError {
    fn from(error: ClaimsVerificationError) -> Self {
        match error {
            ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            ) => Self::UnknownKey,
            ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::CryptoError(_),
            ) => Self::BadSignature,
            // The text of this error contains both nonces, which are secrets.
            ClaimsVerificationError::InvalidNonce(_) => {
                Self::Untrusted("its nonce is not that of the login".to_owned())
            }
            other => Self::Untrusted(one_line(&other.to_string())),
        }
    }
}
