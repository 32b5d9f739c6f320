//! A login ends: the browser comes back from the issuer.
//!
//! The attempt must have begun in this very browser, and is used up *before* its code is redeemed:
//! a code that is redeemed twice ends the whole session at the issuer (RFC 6749 §4.1.2). The same
//! callback once more, by reload or by the back button, redeems nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use openidconnect::RedirectUrl;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::auth::Reply;
use crate::auth::issuer::token_endpoint::{GrantError, IdTokenError};
use crate::auth::issuer::untrusted_text::brief;
use crate::auth::login::attempt::Attempt;
use crate::auth::login::return_path as way_back;
use crate::auth::login::used_attempts::Used;
use crate::auth::runtime::clock;
use crate::auth::runtime::mutex::Guarded;
use crate::auth::runtime::single_flight::{Flight, Flights};
use crate::auth::session::live::Session;
use crate::auth::session::renewal::refresh::Parts;
use crate::auth::session::store::sessions::{End, Found, proof};
use crate::auth::session::ticket::{SessionId, Ticket};

/// Attempts that have been used up.
#[derive(Debug)]
pub(crate) struct Conclusions {
    used: Guarded<Used>,
    under_way: Flights<String, Result<Arc<Session>, LoginError>>,
}

/// A login that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("{0}")]
    Grant(#[from] GrantError),
    #[error("the ID token is not to be believed: {0}")]
    IdToken(#[from] IdTokenError),
    #[error("the issuer gave no ID token; is `openid` among the scopes?")]
    NoIdToken,
    #[error("the e-mail address of {0} is not verified")]
    Unverified(String),
    #[error("the session ended at once")]
    Ended,
}

/// The parameters of a callback (OpenID Connect Core §3.1.2.5, RFC 9207).
#[derive(Default)]
struct Params {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Params {
    /// `None` when one of them is doubled (RFC 6749 §3.1).
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

impl Conclusions {
    /// Remembered in `dir`, which is there.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { used: Guarded::new(Used::open(dir)?), under_way: Flights::new() })
    }

    fn way_back(&self, state: &str) -> Option<String> {
        self.used.lock().way_back(state).map(str::to_owned)
    }
}

impl Auth {
    /// `/oauth2/callback`: it ends.
    pub async fn callback(&self, query: &str, headers: &HeaderMap) -> Reply {
        let Some(params) = Params::read(query) else {
            return refused("The answer of the identity provider says one thing twice.", "/");
        };
        let (cookies, keyring) = (&self.sessions.cookies, &self.sessions.keyring);
        let state = params.state.as_deref().unwrap_or_default();
        let Some((attempt, cookie)) = Attempt::find(state, headers, cookies, keyring) else {
            return self.without_attempt(state, headers);
        };
        let reply = self.conclude(params, &attempt, headers).await;
        // A page that comes back by itself needs its attempt then.
        if let Reply::Page { retry_after: Some(_), .. } = reply {
            return reply;
        }
        reply.with_cookie(cookies.clear(&cookie))
    }

    /// Somebody who is signed in is sent on: the page was reloaded. Others begin anew.
    fn without_attempt(&self, state: &str, headers: &HeaderMap) -> Reply {
        if self.knows(headers) {
            let known = self.conclusions.way_back(state);
            return Reply::redirect(known.unwrap_or_else(|| "/".to_owned()));
        }
        let why = concat!(
            "This sign-in did not begin in this browser, or it took too long. ",
            "If it happens again, check that the browser accepts cookies from here."
        );
        refused(why, "/")
    }

    async fn conclude(&self, params: Params, attempt: &Attempt, headers: &HeaderMap) -> Reply {
        let Some(provider) = self.issuer.provider() else { return Reply::unavailable() };
        let back = &attempt.way_back;
        let foreign = params.iss.as_ref().is_some_and(|iss| *iss != provider.document.issuer);
        if foreign {
            warn!("a callback comes from another issuer");
            return refused("The answer comes from another identity provider.", back);
        }
        if let Some(error) = &params.error {
            let description = params.error_description.as_deref().unwrap_or_default();
            return self.declined(error, description, attempt, headers);
        }
        if params.iss.is_none() && provider.document.promises_iss {
            warn!("a callback does not name its issuer, which the issuer promises");
            return refused("The answer does not say which identity provider it is from.", back);
        }
        let Some(code) = params.code.filter(|code| !code.is_empty()) else {
            return refused("The answer of the identity provider has no code.", back);
        };
        // Not used up yet: the same callback works as soon as the issuer does.
        if !self.issuer.is_up() {
            return Reply::unavailable();
        }
        match self.redeem(code, attempt, headers) {
            Some(flight) => Self::answer(flight.landed().await, attempt),
            None => self.replayed(attempt, headers),
        }
    }

    /// Uses up the attempt and begins to redeem its code, or joins whoever is at it. `None` when
    /// it was used up before.
    fn redeem(
        &self,
        code: String,
        attempt: &Attempt,
        headers: &HeaderMap,
    ) -> Option<Flight<Result<Arc<Session>, LoginError>>> {
        let state = attempt.state.clone();
        let Conclusions { used, under_way } = &self.conclusions;
        // Held until the flight is there for whoever comes next.
        let mut used = used.lock();
        if !used.note(&state, attempt.ends(), &attempt.way_back) {
            return under_way.under_way(&state);
        }
        let before: Vec<_> = self.sessions.find_all(headers, clock::now()).collect();
        let (parts, attempt) = (Arc::clone(&self.renewal), attempt.clone());
        let callback = self.places.of(headers).callback.clone();
        Some(under_way.join(&self.tasks, state, move || async move {
            parts.log_in(code, attempt, callback, before).await
        }))
    }

    fn replayed(&self, attempt: &Attempt, headers: &HeaderMap) -> Reply {
        if self.knows(headers) {
            Reply::redirect(&attempt.way_back)
        } else {
            Reply::redirect(way_back::login_path(&attempt.way_back))
        }
    }

    /// Whether there is a session, in force or asleep.
    fn knows(&self, headers: &HeaderMap) -> bool {
        !matches!(self.sessions.find(headers, clock::now()), Found::Nobody { .. })
    }

    fn answer(landed: Option<Result<Arc<Session>, LoginError>>, attempt: &Attempt) -> Reply {
        let back = &attempt.way_back;
        let error = match landed {
            Some(Ok(session)) => {
                let cookie = session.grant().cookie.header.clone();
                return Reply::redirect(back).with_cookie(cookie);
            }
            Some(Err(error)) => error,
            None => LoginError::Ended,
        };
        match error {
            LoginError::Grant(GrantError::Unavailable(_) | GrantError::NotReady) => {
                Reply::unavailable()
            }
            LoginError::Grant(GrantError::Client(_)) => {
                let why = "The identity provider does not know this server. Whoever runs it \
                           finds the reason in its log.";
                refused(why, back)
            }
            LoginError::Unverified(_) => {
                let message = "Your e-mail address is not confirmed yet. Confirm it at the \
                               identity provider, then sign in again.";
                Reply::page(StatusCode::FORBIDDEN, "E-mail address not confirmed", message)
                    .with_action("Sign in again", way_back::login_path(back))
            }
            LoginError::Grant(GrantError::Refused(_)) | LoginError::Ended => {
                refused("The identity provider does not accept this sign-in any more.", back)
            }
            LoginError::Grant(GrantError::Unreadable(_))
            | LoginError::IdToken(_)
            | LoginError::NoIdToken => {
                refused("The answer of the identity provider cannot be trusted.", back)
            }
        }
    }

    /// The issuer says no (RFC 6749 §4.1.2.1).
    fn declined(
        &self,
        error: &str,
        description: &str,
        attempt: &Attempt,
        headers: &HeaderMap,
    ) -> Reply {
        let (error, description) = (&*brief(error), brief(description));
        info!(error, description, "sign-in declined by the issuer");
        let back = &attempt.way_back;
        // Keycloak's login page ran out of time while another tab signed in: the next attempt
        // succeeds at once.
        let ran_out = error == "temporarily_unavailable" && description == "authentication_expired";
        if ran_out && !attempt.again {
            return self.begin(back.clone(), true, headers);
        }
        let said = if description.is_empty() { error } else { &description };
        let message = format!("The identity provider says: {said}");
        let status = match error {
            "access_denied" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Reply::page(status, "Sign-in was declined", message)
            .with_action("Sign in again", way_back::login_path(back))
    }
}

impl Parts {
    /// From the code to the session.
    async fn log_in(
        &self,
        code: String,
        attempt: Attempt,
        callback: RedirectUrl,
        before: Vec<Found>,
    ) -> Result<Arc<Session>, LoginError> {
        let session = match self.admit(code, &attempt, &callback).await {
            Ok(session) => session,
            Err(reason) => {
                if matches!(reason, LoginError::Grant(GrantError::Client(_))) {
                    error!(%reason, "sign-in failed");
                } else {
                    warn!(%reason, "sign-in failed");
                }
                return Err(reason);
            }
        };
        let person = session.person();
        info!(user = person.user, "signed in");
        for before in before {
            self.replace(before, &session);
        }
        Ok(session)
    }

    /// What this browser had before is over, unless it hangs on the same session of the issuer:
    /// then another tab has just signed in, too, and both end together. All of it: beside a
    /// session that was planted, which cannot be removed from here, no other would ever count.
    fn replace(&self, before: Found, by: &Session) {
        match before {
            Found::Live(before, _) => {
                let same = before.sid.is_some() && before.sid == by.sid;
                if !same || before.person().subject != by.person().subject {
                    self.sessions.end(&before, End::Replaced);
                }
            }
            Found::Sealed(ticket) => self.sessions.end_ticket(&ticket, End::Replaced),
            Found::Nobody { .. } => {}
        }
    }

    async fn admit(
        &self,
        code: String,
        attempt: &Attempt,
        callback: &RedirectUrl,
    ) -> Result<Arc<Session>, LoginError> {
        let granted = self.issuer.redeem(code, attempt.verifier.clone(), callback).await?;
        let token = granted.id_token.as_ref().ok_or(LoginError::NoIdToken)?;
        let verified = self.issuer.verify(token, Some(&attempt.nonce)).await?;
        let sid = verified.sid.clone();
        let person = self.identities.of(verified, &granted.access_token).await;
        if self.terms.require_verified_email && !person.email.is_verified() {
            return Err(LoginError::Unverified(person.user));
        }
        let tokens = self.tokens(granted, None);
        let ticket = Ticket {
            id: SessionId::random(),
            subject: person.subject.clone(),
            signed_in: clock::now() / 1000,
            proof: proof(&tokens, &person),
        };
        let grant = self.seal(Arc::new(person), tokens, ticket.clone(), false).await;
        self.sessions.insert(&ticket, sid, grant).ok_or(LoginError::Ended)
    }
}

fn refused(why: &str, back: &str) -> Reply {
    Reply::page(StatusCode::BAD_REQUEST, "Sign-in failed", why)
        .with_action("Sign in again", way_back::login_path(back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_parameters_are_refused() {
        let read = |query: &str| Params::read(query).is_some();
        assert!(read("code=a&state=b&session_state=x&session_state=y"));
        assert!(!read("code=a&state=b&state=b"));
        assert!(!read("code=a&code=b&state=c"));
        assert!(!read("iss=a&iss=a"));
        assert!(!read("error=a&%65rror=b"));
    }
}
