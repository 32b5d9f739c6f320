//! `/oauth2/callback`: the browser comes back from the issuer (OpenID Connect Core §3.1.2.5).
//!
//! The login attempt must have begun in the same browser. Its code is exchanged only once; a
//! repeated callback (a reload, the back button) exchanges nothing.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tracing::{info, warn};

use super::attempt::Attempt;
use super::code_exchange::LoginError;
use super::{Login, Reply, return_path};
use crate::auth::issuer::TokenError;
use crate::auth::issuer::untrusted_text::one_line;
use crate::auth::runtime::clock;
use crate::auth::session::Session;
use crate::auth::session::store::Found;

/// The parameters of the authorization response (RFC 6749 §4.1.2, RFC 9207).
#[derive(Default)]
struct Params {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Params {
    /// Reads a query; `None` if a parameter is repeated (RFC 6749 §3.1).
    fn read(query: &str) -> Option<Self> {
        let mut params = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut params.state,
                "code" => &mut params.code,
                "iss" => &mut params.iss,
                "error" => &mut params.error,
                "error_description" => &mut params.error_description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(params)
    }
}

impl Login {
    /// `/oauth2/callback`: completes the login.
    pub(crate) async fn callback(&self, query: &str, headers: &HeaderMap) -> Reply {
        let Some(params) = Params::read(query) else {
            return refused("The identity provider's answer repeats a parameter.", "/");
        };
        let sessions = &self.grants.sessions;
        let (cookies, keyring) = (&sessions.cookies, &sessions.keyring);
        let state = params.state.as_deref().unwrap_or_default();
        let Some((attempt, cookie)) = Attempt::find(state, headers, cookies, keyring) else {
            return self.without_attempt(state, headers);
        };
        let reply = self.conclude(params, &attempt, headers).await;
        // A page that reloads itself needs the attempt's cookie again.
        if let Reply::Page { retry_after: Some(_), .. } = reply {
            return reply;
        }
        reply.with_cookie(cookies.clear(&cookie))
    }

    /// The browser has no attempt for this state. With a session the person has most likely
    /// reloaded the callback and is sent on; without one the login has to begin again.
    fn without_attempt(&self, state: &str, headers: &HeaderMap) -> Reply {
        if self.has_session(headers) {
            let known = self.exchanges.return_path(state);
            return Reply::redirect(known.unwrap_or_else(|| "/".to_owned()));
        }
        let message = concat!(
            "This sign-in did not begin in this browser, or it took too long. ",
            "If this happens again, check that the browser accepts cookies from this site."
        );
        refused(message, "/")
    }

    async fn conclude(&self, params: Params, attempt: &Attempt, headers: &HeaderMap) -> Reply {
        let issuer = &self.grants.issuer;
        let Some(provider) = issuer.provider() else { return Reply::unavailable() };
        let back = &attempt.return_path;
        let foreign = params.iss.as_ref().is_some_and(|iss| *iss != provider.metadata.issuer);
        if foreign {
            warn!("a callback names another issuer");
            return refused("The answer comes from another identity provider.", back);
        }
        if let Some(error) = &params.error {
            let description = params.error_description.as_deref().unwrap_or_default();
            return self.declined(error, description, attempt, headers);
        }
        if params.iss.is_none() && provider.metadata.sends_iss {
            warn!(
                "a callback does not name its issuer, although the issuer says that it always does"
            );
            return refused("The answer does not say which identity provider sent it.", back);
        }
        let Some(code) = params.code.filter(|code| !code.is_empty()) else {
            return refused("The identity provider's answer has no code.", back);
        };
        // The attempt is not used up here: the same callback succeeds once the issuer is back.
        if !issuer.is_up() {
            return Reply::unavailable();
        }
        let redirect = self.origins.of(headers).callback.clone();
        match self.exchanges.start(&self.grants, code, attempt, redirect, headers) {
            Some(exchange) => completed(exchange.result().await, attempt),
            None => self.repeated(attempt, headers),
        }
    }

    /// The attempt has been used up before: sends the person on, or to a new login.
    fn repeated(&self, attempt: &Attempt, headers: &HeaderMap) -> Reply {
        if self.has_session(headers) {
            Reply::redirect(&attempt.return_path)
        } else {
            Reply::redirect(return_path::start_path(&attempt.return_path))
        }
    }

    /// Whether the request has a session that is in force or may be restored.
    fn has_session(&self, headers: &HeaderMap) -> bool {
        !matches!(self.grants.sessions.find(headers, clock::now()), Found::Nobody { .. })
    }

    /// The issuer answered with an error (RFC 6749 §4.1.2.1).
    fn declined(
        &self,
        error: &str,
        description: &str,
        attempt: &Attempt,
        headers: &HeaderMap,
    ) -> Reply {
        let (error, description) = (&*one_line(error), one_line(description));
        info!(error, description, "sign-in declined by the issuer");
        let back = &attempt.return_path;
        // Keycloak's login page expired while the person signed in in another tab. A new attempt
        // succeeds at once.
        let expired = error == "temporarily_unavailable" && description == "authentication_expired";
        if expired && !attempt.again {
            return self.begin(back.clone(), true, None, headers);
        }
        let reason = if description.is_empty() { error } else { &description };
        let message = format!("The identity provider says: {reason}");
        let status = match error {
            "access_denied" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Reply::page(status, "Sign-in was declined", message)
            .with_action("Sign in again", return_path::start_path(back))
    }
}

/// The reply after the code exchange; `None` if the exchange panicked.
fn completed(result: Option<Result<Arc<Session>, LoginError>>, attempt: &Attempt) -> Reply {
    let back = &attempt.return_path;
    let error = match result {
        Some(Ok(session)) => {
            let cookie = session.grant().cookie.header.clone();
            return Reply::redirect(back).with_cookie(cookie);
        }
        Some(Err(error)) => error,
        None => LoginError::Ended,
    };
    match error {
        LoginError::Tokens(TokenError::Unavailable(_) | TokenError::NotReady) => {
            Reply::unavailable()
        }
        LoginError::Tokens(TokenError::Client(_)) => {
            let message = "The identity provider does not know this server. Its administrator \
                           finds the reason in the log.";
            refused(message, back)
        }
        LoginError::Unverified(_) => {
            let message = "Your e-mail address is not verified yet. Verify it at the identity \
                           provider, then sign in again.";
            Reply::page(StatusCode::FORBIDDEN, "E-mail address not verified", message)
                .with_action("Sign in again", return_path::start_path(back))
        }
        LoginError::Tokens(TokenError::Refused(_)) | LoginError::Ended => {
            refused("The identity provider no longer accepts this sign-in.", back)
        }
        LoginError::Tokens(TokenError::Unreadable(_))
        | LoginError::IdToken(_)
        | LoginError::NoIdToken => {
            refused("The identity provider's answer cannot be trusted.", back)
        }
    }
}

/// 400: a page that says why the login failed, with a button for a new login.
fn refused(message: &str, back: &str) -> Reply {
    Reply::page(StatusCode::BAD_REQUEST, "Sign-in failed", message)
        .with_action("Sign in again", return_path::start_path(back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parameters_are_refused() {
        let read = |query: &str| Params::read(query).is_some();
        assert!(read("code=a&state=b&session_state=x&session_state=y"));
        assert!(!read("code=a&state=b&state=b"));
        assert!(!read("code=a&code=b&state=c"));
        assert!(!read("iss=a&iss=a"));
        assert!(!read("error=a&%65rror=b"));
    }
}
