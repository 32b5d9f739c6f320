//! The token endpoint: exchanges an authorization code or a refresh token for tokens
//! (RFC 6749 §4.1.3 and §6).

use std::borrow::Cow;
use std::time::Duration;

use openidconnect::core::{CoreErrorResponseType, CoreIdToken, CoreTokenResponse};
use openidconnect::{
    AccessToken, AuthorizationCode, OAuth2TokenResponse as _, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, StandardErrorResponse, TokenResponse as _,
};

use super::http_error::HttpError;
use super::untrusted_text::one_line;
use super::watch::Issuer;

/// The tokens of a successful response (RFC 6749 §5.1). The ID token is not verified yet.
pub(crate) struct TokenResponse {
    pub(crate) access_token: AccessToken,
    /// Lifetime of the access token; `None` if the issuer does not state one.
    pub(crate) expires_in: Option<Duration>,
    /// What [`Issuer::refresh`] and [`Issuer::revoke`] take: a refresh token, or what stands for one.
    pub(crate) refresh_token: Option<RefreshToken>,
    pub(crate) id_token: Option<CoreIdToken>,
}

impl TokenResponse {
    /// The refresh token if the issuer has rotated it: a token other than `old`.
    pub(crate) fn rotated_token(&self, old: &RefreshToken) -> Option<&RefreshToken> {
        self.refresh_token.as_ref().filter(|new| new.secret() != old.secret())
    }
}

/// The token endpoint did not return tokens. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum TokenError {
    /// The issuer refused the grant. Holds the error code (RFC 6749 §5.2).
    #[error("the issuer refused the request: {0}")]
    Refused(String),
    /// The issuer does not accept the client id or the client secret. Holds the error code.
    #[error(
        "the issuer does not accept this client: {0}; compare client_id and client_secret in \
         [oidc] with the client that is registered at the issuer"
    )]
    Client(String),
    /// No response, or a server error.
    #[error("the token endpoint {0}")]
    Unavailable(HttpError),
    /// A response that is not OAuth.
    #[error("the token endpoint's response cannot be read: {0}")]
    Unreadable(String),
    /// The issuer has not been ready yet.
    #[error("the issuer is not ready")]
    NotReady,
}

impl TokenError {
    /// Whether the error ends the session at a refresh: the grant is no longer valid
    /// (RFC 6749 §5.2), or the issuer wants the person to act (RFC 6749 §4.1.2.1, OpenID Connect
    /// Core §3.1.2.6). GitHub has a word of its own. Any other error leaves the session as it is.
    pub(crate) fn ends_session(&self) -> bool {
        const FINAL: [&str; 7] = [
            "invalid_grant",
            "bad_refresh_token",
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
    /// Exchanges an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(crate) async fn exchange_code(
        &self,
        code: String,
        verifier: String,
        redirect: &RedirectUrl,
    ) -> Result<TokenResponse, TokenError> {
        if let Some(github) = self.github() {
            let (http, registration) = (&self.http, &self.registration);
            let response = github.exchange_code(http, registration, &code, &verifier, redirect);
            return self.reported(response.await);
        }
        let provider = self.provider().ok_or(TokenError::NotReady)?;
        let response = provider
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .set_redirect_uri(Cow::Borrowed(redirect))
            .request_async(&self.http)
            .await;
        self.tokens_of(response)
    }

    /// Exchanges a refresh token for new tokens (RFC 6749 §6).
    pub(crate) async fn refresh(&self, token: &RefreshToken) -> Result<TokenResponse, TokenError> {
        if let Some(github) = self.github() {
            return self.reported(github.refresh(&self.http, &self.registration, token).await);
        }
        let provider = self.provider().ok_or(TokenError::NotReady)?;
        let response =
            provider.client.exchange_refresh_token(token).request_async(&self.http).await;
        self.tokens_of(response)
    }

    fn tokens_of(
        &self,
        response: Result<CoreTokenResponse, Failure>,
    ) -> Result<TokenResponse, TokenError> {
        let tokens = self.reported(response.map_err(TokenError::from))?;
        Ok(TokenResponse {
            access_token: tokens.access_token().clone(),
            // Some issuers send 0 when they do not state a lifetime.
            expires_in: tokens.expires_in().filter(|life| !life.is_zero()),
            refresh_token: tokens.refresh_token().filter(|one| !one.secret().is_empty()).cloned(),
            id_token: tokens.id_token().cloned(),
        })
    }

    /// The same result; the issuer is checked without delay if it did not answer.
    fn reported<T>(&self, result: Result<T, TokenError>) -> Result<T, TokenError> {
        if matches!(result, Err(TokenError::Unavailable(_))) {
            self.report_failure();
        }
        result
    }
}

impl From<Failure> for TokenError {
    fn from(failure: Failure) -> Self {
        match failure {
            RequestTokenError::Request(error) => Self::Unavailable(error),
            RequestTokenError::ServerResponse(response) => {
                let code = one_line(response.error().as_ref());
                match response.error() {
                    CoreErrorResponseType::InvalidClient
                    | CoreErrorResponseType::UnauthorizedClient => Self::Client(code),
                    _ => Self::Refused(code),
                }
            }
            // The body is left out: it may contain tokens.
            RequestTokenError::Parse(error, _) => {
                Self::Unreadable(format!("{} at {}", kind(error.inner()), error.path()))
            }
            RequestTokenError::Other(problem) => Self::Unreadable(problem),
        }
    }
}

/// What is wrong with a response. The text of `serde_json` is not used, because it quotes values,
/// which may be tokens.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "it was cut off",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a value has the wrong type",
        serde_json::error::Category::Eof => "it ends too early",
    }
}
