//! What an authorization request says beside the protocol: scopes, extra parameters, and what one login
//! wishes.

use openidconnect::RedirectUrl;

use super::account_action::AccountAction;
use super::attempt::Attempt;
use crate::auth::issuer::{Authorization, Issuer};
use crate::config::{Oidc, SignInProtocol};
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
    protocol: SignInProtocol,
    scopes: Vec<String>,
    /// `[oidc] login_params`
    params: Vec<(String, String)>,
}

impl AuthorizationRequest {
    pub(super) fn new(oidc: &Oidc) -> Self {
        let (scopes, params) = (oidc.scopes.clone(), oidc.login_params.clone());
        Self { protocol: oidc.protocol, scopes, params }
    }

    /// The URL for one login attempt; `None` if nobody can sign in now. The issuer sends the browser back to
    /// `redirect`, after the action of the wish if there is one. `language`: what the person prefers, so that
    /// the form of the issuer is in the language of the appliance's pages; an issuer may know others.
    pub(super) fn url(
        &self,
        issuer: &Issuer,
        attempt: &Attempt,
        redirect: &RedirectUrl,
        wish: &Wish,
        language: Option<Language>,
    ) -> Option<String> {
        issuer.authorization_url(&Authorization {
            state: &attempt.state,
            nonce: &attempt.nonce,
            verifier: &attempt.verifier,
            redirect,
            scopes: &self.scopes,
            params: self.params_with(wish, language),
        })
    }

    fn params_with<'a>(
        &'a self,
        wish: &'a Wish,
        language: Option<Language>,
    ) -> Vec<(&'a str, &'a str)> {
        let Wish { action, login_hint } = wish;
        // The pages of GitHub are in English.
        let (hint_name, locales_name) = match self.protocol {
            SignInProtocol::OpenIdConnect => (LOGIN_HINT, Some(UI_LOCALES)),
            SignInProtocol::GitHub => ("login", None),
        };
        let pairs = || self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let is_set = |name: &str| pairs().any(|(known, _)| known == name);
        let fixed = pairs().filter(|(name, _)| action.is_none() || *name != "kc_action");
        let mut params: Vec<_> = fixed.collect();
        if let Some(hint) = login_hint.as_deref().filter(|_| !is_set(hint_name)) {
            params.push((hint_name, hint));
        }
        if let (Some(name), Some(language)) = (locales_name, language)
            && !is_set(name)
        {
            params.push((name, language.tag()));
        }
        if let Some(action) = action {
            params.push(("kc_action", action.kc_action));
        }
        params
    }
}
