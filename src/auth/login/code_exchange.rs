//! From the authorization code to a session.
//!
//! An attempt is used up *before* its code is exchanged: an issuer that sees a code twice may end
//! the whole session (RFC 6749 §4.1.2).

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use openidconnect::RedirectUrl;
use tracing::{error, info, warn};

use super::attempt::Attempt;
use super::used_attempts::UsedAttempts;
use crate::auth::issuer::{IdTokenError, TokenError};
use crate::auth::runtime::{Flight, Mutex, SingleFlight, clock};
use crate::auth::session::renewal::Grants;
use crate::auth::session::store::{EndReason, Found};
use crate::auth::session::{Session, SessionId, Ticket};

/// The code exchanges that run, and the attempts that have been used up.
#[derive(Debug)]
pub(crate) struct CodeExchanges {
    used: Mutex<UsedAttempts>,
    running: SingleFlight<String, Result<Arc<Session>, LoginError>>,
}

/// A login that failed after the browser came back. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LoginError {
    #[error("{0}")]
    Tokens(#[from] TokenError),
    #[error("the ID token is not valid: {0}")]
    IdToken(#[from] IdTokenError),
    #[error("the issuer sent no ID token; is `openid` among the scopes?")]
    NoIdToken,
    /// Holds the user name.
    #[error("the e-mail address of {0} is not verified")]
    Unverified(String),
    #[error("the session ended at once")]
    Ended,
}

impl CodeExchanges {
    /// Used attempts are remembered in `dir`, which must exist.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { used: Mutex::new(UsedAttempts::open(dir)?), running: SingleFlight::new() })
    }

    /// The return path of a used attempt, if it is known.
    pub(super) fn return_path(&self, state: &str) -> Option<String> {
        self.used.lock().return_path(state).map(str::to_owned)
    }

    /// Uses up the attempt and starts to exchange its code, or joins the exchange that runs. `None`
    /// if the attempt was used up before and its exchange has completed.
    pub(super) fn start(
        &self,
        grants: &Arc<Grants>,
        code: String,
        attempt: &Attempt,
        redirect: RedirectUrl,
        headers: &HeaderMap,
    ) -> Option<Flight<Result<Arc<Session>, LoginError>>> {
        let state = attempt.state.clone();
        // Locked until the exchange is registered, so that a second callback finds it.
        let mut used = self.used.lock();
        if !used.add(&state, attempt.ends(), &attempt.return_path) {
            return self.running.join(&state);
        }
        let before: Vec<_> = grants.sessions.find_all(headers, clock::now()).collect();
        let (owned, attempt) = (grants.clone(), attempt.clone());
        Some(self.running.join_or_start(&grants.tasks, state, move || async move {
            log_in(&owned, code, &attempt, &redirect, before).await
        }))
    }
}

/// Exchanges the code and replaces the sessions that the browser had before.
async fn log_in(
    grants: &Grants,
    code: String,
    attempt: &Attempt,
    redirect: &RedirectUrl,
    before: Vec<Found>,
) -> Result<Arc<Session>, LoginError> {
    let session = match new_session(grants, code, attempt, redirect).await {
        Ok(session) => session,
        Err(reason) => {
            if matches!(reason, LoginError::Tokens(TokenError::Client(_))) {
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
        replace(grants, before, &session);
    }
    Ok(session)
}

/// Ends a session that the browser had before this login, unless both belong to the same session of
/// the issuer: then another tab has just signed in, and both end together.
///
/// The caller does this for every earlier session. A cookie that an attacker planted for a narrower
/// path cannot be removed from here, and while its session is in force, a request with both cookies
/// counts as having no session.
fn replace(grants: &Grants, before: Found, by: &Session) {
    match before {
        Found::Live(before, _) => {
            let same = before.sid.is_some() && before.sid == by.sid;
            if !same || before.person().subject != by.person().subject {
                grants.sessions.end(&before, EndReason::Replaced);
            }
        }
        Found::Sealed(ticket) => grants.sessions.end_ticket(&ticket, EndReason::Replaced),
        Found::Nobody { .. } => {}
    }
}

async fn new_session(
    grants: &Grants,
    code: String,
    attempt: &Attempt,
    redirect: &RedirectUrl,
) -> Result<Arc<Session>, LoginError> {
    let response = grants.issuer.exchange_code(code, attempt.verifier.clone(), redirect).await?;
    let token = response.id_token.as_ref().ok_or(LoginError::NoIdToken)?;
    let verified = grants.issuer.verify_id_token(token, Some(&attempt.nonce)).await?;
    let sid = verified.sid.clone();
    let person = grants.people.by_id_token(verified, &response.access_token).await;
    if grants.require_verified_email && !person.has_verified_email() {
        return Err(LoginError::Unverified(person.user));
    }
    let tokens = grants.tokens(response, None);
    let ticket = Ticket {
        id: SessionId::random(),
        subject: person.subject.clone(),
        signed_in: clock::now() / 1000,
        proof: tokens.proof(&person),
    };
    let grant = grants.seal(Arc::new(person), tokens, ticket.clone(), false).await;
    grants.sessions.insert(&ticket, sid, grant).ok_or(LoginError::Ended)
}
