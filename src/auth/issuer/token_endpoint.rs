//! Tokens: codes and refresh tokens redeemed, ID tokens verified, refresh tokens revoked.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, header};
use openidconnect::core::{CoreErrorResponseType, CoreIdToken, CoreTokenResponse};
use openidconnect::{
    AccessToken, AuthorizationCode, ClaimsVerificationError, IdTokenVerifier, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    SignatureVerificationError, StandardErrorResponse, TokenResponse as _,
};
use serde_json::{Map, Value};
use tracing::{debug, warn};

use crate::auth::issuer::http_client::HttpError;
use crate::auth::issuer::provider::{ALGORITHMS, Provider};
use crate::auth::issuer::untrusted_text::brief;
use crate::auth::issuer::watch::Issuer;
use crate::auth::person::claims;

/// What the issuer gave.
pub(crate) struct Granted {
    pub(crate) access_token: AccessToken,
    /// Life of the access token.
    pub(crate) expires_in: Option<Duration>,
    pub(crate) refresh_token: Option<RefreshToken>,
    pub(crate) id_token: Option<CoreIdToken>,
}

impl Granted {
    /// The refresh token, if it is another one than that.
    pub(crate) fn new_token(&self, old: &RefreshToken) -> Option<&RefreshToken> {
        self.refresh_token.as_ref().filter(|new| new.secret() != old.secret())
    }
}

/// An ID token that was verified.
pub(crate) struct Verified {
    pub(crate) subject: String,
    /// The issuer's session.
    pub(crate) sid: Option<String>,
    pub(crate) claims: Map<String, Value>,
}

/// The issuer did not give tokens.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum GrantError {
    /// It refused, with an error code of RFC 6749 §5.2.
    #[error("the issuer refuses: {0}")]
    Refused(String),
    /// It does not know us, or our secret.
    #[error(
        "the issuer refuses us as a client: {0}; check client_id and client_secret in [oidc] \
         against what the issuer has registered"
    )]
    Client(String),
    /// No answer, or a server error.
    #[error("the token endpoint {0}")]
    Unavailable(HttpError),
    /// An answer that is none of OAuth.
    #[error("the token endpoint's answer cannot be read: {0}")]
    Unreadable(String),
    /// It was never right yet.
    #[error("the issuer is not ready")]
    NotReady,
}

/// An ID token that is not to be believed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error("its key is unknown to us")]
    UnknownKey,
    #[error("its signature is wrong")]
    BadSignature,
    #[error("{0}")]
    Untrusted(String),
}

impl GrantError {
    /// Whether it is the issuer's verdict that this session is over: its grant is (RFC 6749 §5.2),
    /// or only the person could go on from here (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    pub(crate) fn ends_session(&self) -> bool {
        const FINAL: [&str; 6] = [
            "invalid_grant",
            "access_denied",
            "login_required",
            "consent_required",
            "interaction_required",
            "account_selection_required",
        ];
        matches!(self, Self::Refused(code) if FINAL.contains(&code.as_str()))
    }
}

type Failure = RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>;

impl Issuer {
    /// Redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(crate) async fn redeem(
        &self,
        code: String,
        verifier: String,
        callback: &RedirectUrl,
    ) -> Result<Granted, GrantError> {
        let provider = self.provider().ok_or(GrantError::NotReady)?;
        let answer = provider
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .set_redirect_uri(Cow::Borrowed(callback))
            .request_async(&self.http)
            .await;
        self.granted(answer)
    }

    /// Trades a refresh token for fresh tokens (RFC 6749 §6).
    pub(crate) async fn refresh(&self, token: &RefreshToken) -> Result<Granted, GrantError> {
        let provider = self.provider().ok_or(GrantError::NotReady)?;
        let answer = provider.client.exchange_refresh_token(token).request_async(&self.http).await;
        self.granted(answer)
    }

    fn granted(&self, answer: Result<CoreTokenResponse, Failure>) -> Result<Granted, GrantError> {
        let tokens = answer.map_err(|failure| {
            let error = GrantError::from(failure);
            if matches!(error, GrantError::Unavailable(_)) {
                self.suspect();
            }
            error
        })?;
        Ok(Granted {
            access_token: tokens.access_token().clone(),
            // Some say 0 for a life that they do not tell.
            expires_in: tokens.expires_in().filter(|life| !life.is_zero()),
            refresh_token: tokens.refresh_token().filter(|one| !one.secret().is_empty()).cloned(),
            id_token: tokens.id_token().cloned(),
        })
    }

    /// Ends the issuer's session (RFC 7009). Returns whether the issuer confirmed it.
    pub(crate) async fn revoke(&self, token: &RefreshToken) -> bool {
        let Some(provider) = self.provider() else { return false };
        let Some(url) = &provider.document.revocation_endpoint else { return false };
        let Some(request) = self.revocation(url, token, &provider) else { return false };
        match self.http.send(request).await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                warn!(status = answer.status().as_u16(), "the issuer did not revoke a session");
                false
            }
            Err(error) => {
                warn!(reason = %error, "the issuer did not revoke a session");
                self.suspect();
                false
            }
        }
    }

    /// By hand: the crate does not revoke over plain http, and loopback is just that.
    fn revocation(
        &self,
        url: &str,
        token: &RefreshToken,
        provider: &Provider,
    ) -> Option<Request<Vec<u8>>> {
        use base64::Engine as _;
        let id = self.registration.client_id.as_str();
        let secret = self.registration.client_secret.secret();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.secret()).append_pair("token_type_hint", "refresh_token");
        let mut request =
            Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if provider.document.wants_secret_in_form() {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        } else {
            let encode = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!("{}:{}", encode(id), encode(secret));
            let pair = base64::prelude::BASE64_STANDARD.encode(pair);
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        request.body(form.finish().into_bytes()).ok()
    }

    /// Verifies an ID token of a login (`nonce`) or of a refresh. Unknown keys are asked for once,
    /// also when they go by the name of an old one.
    pub(crate) async fn verify(
        &self,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<Verified, IdTokenError> {
        let provider =
            self.provider().ok_or_else(|| IdTokenError::Untrusted("no issuer".to_owned()))?;
        match self.verify_by(&provider, token, nonce) {
            Err(error @ (IdTokenError::UnknownKey | IdTokenError::BadSignature)) => {
                if !self.renew_keys(&provider).await {
                    return Err(error);
                }
                debug!("the issuer has new keys");
                let provider = self.provider().unwrap_or(provider);
                self.verify_by(&provider, token, nonce)
            }
            done => done,
        }
    }

    fn verify_by(
        &self,
        provider: &Arc<Provider>,
        token: &CoreIdToken,
        nonce: Option<&str>,
    ) -> Result<Verified, IdTokenError> {
        let skew = self.clock_skew;
        let us = &self.registration.client_id;
        let issuer = IssuerUrl::new(provider.document.issuer.clone())
            .map_err(|error| IdTokenError::Untrusted(error.to_string()))?;
        let azp = claims::payload(&token.to_string())
            .ok_or_else(|| IdTokenError::Untrusted("it is no JWT".to_owned()))?
            .remove("azp");
        // Audiences beside us are fine when the token says that it was issued to us.
        let issued_to_us = azp.as_ref().and_then(Value::as_str) == Some(us.as_str());
        if azp.is_some() && !issued_to_us {
            return Err(IdTokenError::Untrusted("it was issued to another client".to_owned()));
        }
        let verifier =
            IdTokenVerifier::new_public_client(us.clone(), issuer, provider.keys.clone())
                .set_allowed_algs(ALGORITHMS)
                .set_other_audience_verifier_fn(move |_| issued_to_us)
                .set_time_fn(move || (SystemTime::now() - skew).into())
                .set_issue_time_verifier_fn(move |at| {
                    let future = SystemTime::from(at) > SystemTime::now() + skew;
                    if future { Err("it was issued in the future".to_owned()) } else { Ok(()) }
                });
        let same_nonce = |found: Option<&Nonce>| match nonce {
            None => Ok(()),
            Some(nonce) if found.is_some_and(|found| found.secret() == nonce) => Ok(()),
            Some(_) => Err("its nonce is not the login's".to_owned()),
        };
        let subject = token.claims(&verifier, same_nonce)?.subject().to_string();
        let claims = claims::payload(&token.to_string()).unwrap_or_default();
        believe(subject, claims, skew)
    }
}

/// What the crate leaves to us: `nbf`, and a subject that is somebody.
fn believe(
    subject: String,
    claims: Map<String, Value>,
    skew: Duration,
) -> Result<Verified, IdTokenError> {
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
    Ok(Verified { subject, sid, claims: claims::about_the_person(claims) })
}

impl From<Failure> for GrantError {
    fn from(failure: Failure) -> Self {
        match failure {
            RequestTokenError::Request(error) => Self::Unavailable(error),
            RequestTokenError::ServerResponse(answer) => {
                let code = brief(answer.error().as_ref());
                match answer.error() {
                    CoreErrorResponseType::InvalidClient
                    | CoreErrorResponseType::UnauthorizedClient => Self::Client(code),
                    _ => Self::Refused(code),
                }
            }
            // Without the body, which may hold tokens.
            RequestTokenError::Parse(error, _) => {
                Self::Unreadable(format!("{} at {}", kind(error.inner()), error.path()))
            }
            RequestTokenError::Other(what) => Self::Unreadable(what),
        }
    }
}

/// serde's own text shows the value that it met.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "it broke off",
        serde_json::error::Category::Syntax => "it is no JSON",
        serde_json::error::Category::Data => "a value is not what it should be",
        serde_json::error::Category::Eof => "it ends too early",
    }
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
            // This one's text shows both nonces.
            ClaimsVerificationError::InvalidNonce(_) => {
                Self::Untrusted("its nonce is not the login's".to_owned())
            }
            other => Self::Untrusted(brief(&other.to_string())),
        }
    }
}
