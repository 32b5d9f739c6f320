//! The authorization request: the URL at the issuer where a login begins
//! (OpenID Connect Core §3.1.2.1).

use std::borrow::Cow;

use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};

use super::account_action::AccountAction;
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

    /// The URL for one login attempt. The issuer sends the browser back to `redirect`, after the
    /// action if there is one.
    pub(super) fn url(
        &self,
        client: &OidcClient,
        attempt: &Attempt,
        redirect: &RedirectUrl,
        action: Option<AccountAction>,
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
        let fixed = |name: &str| action.is_none() || name != "kc_action";
        for (name, value) in self.params.iter().filter(|(name, _)| fixed(name)) {
            request = request.add_extra_param(name, value);
        }
        if let Some(action) = action {
            request = request.add_extra_param("kc_action", action.kc_action);
        }
        request.url().0.to_string()
    }
}
