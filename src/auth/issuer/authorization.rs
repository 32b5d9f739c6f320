//! A login at the issuer: the authorization request, which is the URL where it begins, and what the response
//! says about its sender (RFC 6749 §4.1.1 and §4.1.2, OpenID Connect Core §3.1.2.1, RFC 9207).

use std::borrow::Cow;

use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::Url;

use super::github::GitHub;
use super::provider::{Provider, Registration};
use super::watch::Issuer;

/// What one authorization request says.
#[derive(Debug)]
pub(crate) struct Authorization<'a> {
    pub(crate) state: &'a str,
    /// Ends up in the ID token; not sent where there is none.
    pub(crate) nonce: &'a str,
    /// PKCE code verifier (RFC 7636 §4.1).
    pub(crate) verifier: &'a str,
    /// Where the browser comes back.
    pub(crate) redirect: &'a RedirectUrl,
    pub(crate) scopes: &'a [String],
    /// Parameters beside those of the protocol.
    pub(crate) params: Vec<(&'a str, &'a str)>,
}

/// Who has sent an authorization response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Issuer,
    /// The response names another issuer.
    Another,
    /// The response names no issuer, although this one always names itself.
    Unnamed,
}

impl Issuer {
    /// The URL for one login; `None` if nobody can sign in now.
    pub(crate) fn authorization_url(&self, request: &Authorization<'_>) -> Option<String> {
        if !self.is_up() {
            return None;
        }
        match self.github() {
            Some(github) => at_github(github, &self.registration, request),
            None => Some(at_provider(&*self.provider()?, request)),
        }
    }

    /// Who has sent a response with this `iss` (RFC 9207 §2.4); `None` before the issuer is ready.
    pub(crate) fn sender(&self, iss: Option<&str>) -> Option<Sender> {
        if let Some(github) = self.github() {
            let is_foreign = iss.is_some_and(|iss| !github.addresses.are_of(iss));
            return Some(if is_foreign { Sender::Another } else { Sender::Issuer });
        }
        let metadata = &self.provider()?.metadata;
        Some(match iss {
            Some(iss) if iss != metadata.issuer => Sender::Another,
            None if metadata.sends_iss => Sender::Unnamed,
            _ => Sender::Issuer,
        })
    }

    /// Where a browser ends the session of the issuer; `None` if the issuer has no such page or is down.
    pub(crate) fn end_session_endpoint(&self) -> Option<Url> {
        self.provider().filter(|_| self.is_up())?.metadata.end_session_endpoint.clone()
    }
}

fn at_provider(provider: &Provider, request: &Authorization<'_>) -> String {
    let (state, nonce) = (request.state.to_owned(), request.nonce.to_owned());
    // `openidconnect` adds the scope `openid`.
    let scopes = request.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
    let mut url = provider
        .client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        )
        .set_redirect_uri(Cow::Borrowed(request.redirect))
        .add_scopes(scopes)
        .set_pkce_challenge(challenge(request));
    for (name, value) in &request.params {
        url = url.add_extra_param(*name, *value);
    }
    url.url().0.to_string()
}

/// <https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>
fn at_github(
    github: &GitHub,
    registration: &Registration,
    request: &Authorization<'_>,
) -> Option<String> {
    let mut url = Url::parse(&github.addresses.authorize()).ok()?;
    let challenge = challenge(request);
    url.query_pairs_mut()
        .append_pair("client_id", &registration.client_id)
        .append_pair("redirect_uri", request.redirect)
        .append_pair("scope", &request.scopes.join(" "))
        .append_pair("state", request.state)
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", challenge.method().as_str())
        .extend_pairs(&request.params);
    Some(url.into())
}

fn challenge(request: &Authorization<'_>) -> PkceCodeChallenge {
    let verifier = PkceCodeVerifier::new(request.verifier.to_owned());
    PkceCodeChallenge::from_code_verifier_sha256(&verifier)
}
