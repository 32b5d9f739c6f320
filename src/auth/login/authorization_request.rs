//! The authorization request: the URL at the issuer where a login begins
//! (OpenID Connect Core §3.1.2.1).

use std::borrow::Cow;

use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};

use super::attempt::Attempt;
use crate::auth::issuer::OidcClient;
use crate::config::Oidc;

/// What every authorization request contains.
#[derive(Debug)]
pub(super) struct AuthorizationRequest {
    scopes: Vec<String>,
    /// `[oidc] login_params`
    params: Vec<(String, String)>,
}

impl AuthorizationRequest {
    pub(super) fn new(oidc: &Oidc) -> Self {
        // `openidconnect` adds the scope `openid`.
        let scopes = oidc.scopes.iter().filter(|scope| *scope != "openid").cloned().collect();
        Self { scopes, params: oidc.login_params.clone() }
    }

    /// The URL for one login attempt. The issuer sends the browser back to `redirect`.
    pub(super) fn url(
        &self,
        client: &OidcClient,
        attempt: &Attempt,
        redirect: &RedirectUrl,
    ) -> String {
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .set_redirect_uri(Cow::Borrowed(redirect))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for (name, value) in &self.params {
            request = request.add_extra_param(name, value);
        }
        request.url().0.to_string()
    }
}
