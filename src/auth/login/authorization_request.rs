//! The authorization request: the URL at the issuer where a login begins
//! (OpenID Connect Core §3.1.2.1).

use std::borrow::Cow;

use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};

use super::account_action::AccountAction;
use super::attempt::Attempt;
use crate::auth::issuer::OidcClient;
use crate::config::Oidc;
use crate::texts::Language;

/// The user name that the form of the issuer shows (OpenID Connect Core §3.1.2.1).
pub(super) const LOGIN_HINT: &str = "login_hint";

/// What one login asks of the issuer beside the login.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// A change of the account, before the browser comes back.
    pub(super) action: Option<AccountAction>,
    /// Who is going to sign in.
    pub(super) login_hint: Option<String>,
}

/// The languages of the issuer's pages (OpenID Connect Core §3.1.2.1).
const UI_LOCALES: &str = "ui_locales";

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
    /// action of the wish if there is one. `language`: what the person prefers, so that the form of the
    /// issuer is in the language of the appliance's pages; an issuer may know others.
    pub(super) fn url(
        &self,
        client: &OidcClient,
        attempt: &Attempt,
        redirect: &RedirectUrl,
        wish: &Wish,
        language: Option<Language>,
    ) -> String {
        let Wish { action, login_hint } = wish;
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
        let is_set = |name: &str| self.params.iter().any(|(known, _)| known == name);
        if let Some(hint) = login_hint.as_deref().filter(|_| !is_set(LOGIN_HINT)) {
            request = request.add_extra_param(LOGIN_HINT, hint);
        }
        if let Some(language) = language.filter(|_| !is_set(UI_LOCALES)) {
            request = request.add_extra_param(UI_LOCALES, language.tag());
        }
        if let Some(action) = action {
            request = request.add_extra_param("kc_action", action.kc_action);
        }
        request.url().0.to_string()
    }
}
