//! Refreshes a session at the issuer.
//!
//! Each session has at most one refresh at a time, in a background task: a refresh token may be
//! single-use, and its answer must not be lost when the browser closes the connection. A refusal by
//! the issuer ends the session. An outage leaves the session in force until its absolute limit. A
//! sign-out during a refresh takes precedence.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::grants::Grants;
use crate::auth::issuer::{Identified, TokenResponse, Untold};
use crate::auth::person::Person;
use crate::auth::runtime::clock::Millis;
use crate::auth::runtime::tally::RefreshResult;
use crate::auth::runtime::{Flight, SingleFlight};
use crate::auth::session::store::{Barred, EndReason, Lease, SessionStore as _};
use crate::auth::session::{Grant, Session, SessionId};
use crate::telemetry::Span;

/// How long a request waits for a refresh: longer than a call to the issuer takes at most, so that its
/// verdict on the session counts. What else is asked for may take longer.
const LONGEST_WAIT: Duration = Duration::from_secs(6);
/// How long a request waits for a refresh after a failed one.
const RETRY_WAIT: Duration = Duration::from_secs(2);
/// How long an app waits for another access token than the one that has expired.
const TOKEN_WAIT: Duration = Duration::from_secs(5);

/// Refreshes sessions. Cheap to clone; clones share the running refreshes.
#[derive(Debug, Clone)]
pub(crate) struct Refresher {
    grants: Arc<Grants>,
    running: SingleFlight<SessionId, ()>,
}

/// The result of a refresh.
enum Outcome {
    Renewed(Box<Grant>),
    /// The issuer gave no verdict: the session stays as it is.
    Kept,
    Over(EndReason),
}

impl Refresher {
    pub(crate) fn new(grants: Arc<Grants>) -> Self {
        Self { grants, running: SingleFlight::new() }
    }

    /// The same with other grants; the refreshes that run are shared.
    pub(crate) fn with(&self, grants: Arc<Grants>) -> Self {
        Self { grants, running: self.running.clone() }
    }

    /// Refreshes the session if a refresh is due and the issuer is up. The caller waits for the
    /// result only if the access token has expired, because the person may have lost the session at the
    /// issuer since then, or if the claims lack what a reload asks for. It waits for at most
    /// [`LONGEST_WAIT`], after a failed refresh for [`RETRY_WAIT`], so that an issuer that does not answer,
    /// or the service that lists the groups, delays requests only a little. Then the request goes on with
    /// what is known, as in an outage, and the refresh runs on.
    pub(crate) async fn refresh_if_due(&self, session: &Arc<Session>, now: Millis) {
        if !self.is_due(session, now) {
            return;
        }
        let retrying = session.is_retrying();
        let flight = self.refresh(session);
        if !session.needs_refresh(now) {
            return;
        }
        let wait = if retrying { RETRY_WAIT } else { LONGEST_WAIT };
        let _ = tokio::time::timeout(wait, flight.result()).await;
    }

    /// Refreshes the session if a refresh is due and the issuer is up, and waits for another access token:
    /// for at most [`TOKEN_WAIT`], or [`RETRY_WAIT`] while the one of the session is valid, and never longer
    /// than `longest`.
    pub(crate) async fn refresh_token_if_due(
        &self,
        session: &Arc<Session>,
        now: Millis,
        longest: Duration,
    ) {
        if self.is_due(session, now) {
            let flight = self.refresh(session);
            let wait = if session.needs_refresh(now) { TOKEN_WAIT } else { RETRY_WAIT };
            let _ = tokio::time::timeout(wait.min(longest), flight.result()).await;
        }
    }

    fn is_due(&self, session: &Session, now: Millis) -> bool {
        session.due().is_some_and(|due| now >= due) && self.grants.issuer.is_up()
    }

    /// Starts a refresh, or joins the one that runs.
    pub(super) fn refresh(&self, session: &Arc<Session>) -> Flight<()> {
        self.running.join_or_start(&self.grants.tasks, session.id, || {
            let (grants, session) = (self.grants.clone(), session.clone());
            let caller = Span::current();
            async move { refresh(&grants, &session, caller).await }
        })
    }
}

async fn refresh(grants: &Grants, session: &Arc<Session>, caller: Span) {
    let known = session.grant().clone();
    let Some(token) = &known.tokens.refresh else { return };
    if session.is_over() {
        return;
    }
    let Some(lease) = grants.sessions.lease(session.id).await else { return };
    let user = &known.person.user;
    let span = caller.child("refresh");
    let outcome = match grants.exchange_refresh_token(session.id, token).await {
        Ok(response) => renewed_grant(grants, session, &known, response).await,
        Err(error) if error.ends_session() => Outcome::Over(EndReason::Revoked),
        Err(error) => {
            warn!(user, reason = %error, "cannot refresh the session; it stays in force");
            Outcome::Kept
        }
    };
    match &outcome {
        Outcome::Renewed(_) => span.text("appliance.result", "success"),
        Outcome::Kept => span.fail("the issuer gave no verdict"),
        Outcome::Over(_) => span.text("appliance.result", "ended"),
    }
    grants.sessions.tally.refresh(match &outcome {
        Outcome::Renewed(_) => RefreshResult::Success,
        Outcome::Kept => RefreshResult::Failure,
        Outcome::Over(_) => RefreshResult::Ended,
    });
    match outcome {
        Outcome::Renewed(grant) => renew(grants, lease, session, *grant).await,
        Outcome::Kept => session.refresh_failed(),
        Outcome::Over(reason) => end(grants, session, reason).await,
    }
}

/// Verifies the issuer's response to a refresh and makes a grant from it.
async fn renewed_grant(
    grants: &Grants,
    session: &Session,
    known: &Grant,
    response: TokenResponse,
) -> Outcome {
    let person = match current_person(grants, known, &response).await {
        Ok(Some(person)) if person != *known.person => Arc::new(person),
        Ok(_) => known.person.clone(),
        Err(reason) => return Outcome::Over(reason),
    };
    if grants.sessions.terms_in_force().refuse(&person) {
        return Outcome::Over(EndReason::Unverified);
    }
    let rotated =
        known.tokens.refresh.as_ref().and_then(|old| response.rotated_token(old)).is_some();
    let tokens = Grants::tokens(response, Some(&known.tokens));
    if !rotated {
        let cookie = known.cookie.clone();
        return Outcome::Renewed(Box::new(Grant { person, tokens, cookie }));
    }
    let ticket = session.ticket(tokens.proof(&person));
    Outcome::Renewed(Box::new(grants.seal(person, tokens, ticket, true).await))
}

/// The person as the response describes them; `None` if the issuer says nothing usable. The error ends the
/// session.
async fn current_person(
    grants: &Grants,
    known: &Grant,
    response: &TokenResponse,
) -> Result<Option<Person>, EndReason> {
    let (subject, user) = (&known.person.subject, &known.person.user);
    let groupless = grants.people.is_groupless(&known.person);
    match grants.people.at_refresh(subject, groupless, response).await {
        Ok(Identified { person, .. }) => Ok(Some(person)),
        Err(Untold::NoVerdict(reason)) => {
            if let Some(reason) = reason {
                warn!(user, reason, "cannot fetch the groups; those that are known stay in force");
            }
            Ok(None)
        }
        Err(Untold::Revoked) => Err(EndReason::Revoked),
        Err(Untold::AnotherPerson) => {
            warn!(user, "the issuer answered a refresh with the tokens of another person");
            Err(EndReason::Untrusted)
        }
        Err(Untold::Untrusted(error)) => {
            warn!(user, reason = %error, "the ID token of a refresh is not valid");
            Err(EndReason::Untrusted)
        }
    }
}

/// Gives the session its new grant. If the session has ended in the meantime, the new refresh token
/// is revoked: the sign-out knew only the one before.
async fn renew(grants: &Grants, lease: Lease, session: &Arc<Session>, grant: Grant) {
    let user = grant.person.user.clone();
    let token = grant.tokens.refresh.clone();
    match grants.sessions.renew(lease, session, grant).await {
        Ok(()) => debug!(user, "session refreshed"),
        Err(Barred::By(reason)) => end(grants, session, reason).await,
        Err(Barred::HasEnded) => {
            grants.sessions.ledger.forget_proof(session.id);
            if let Some(token) = token {
                grants.issuer.revoke(&token).await;
            }
        }
    }
}

async fn end(grants: &Grants, session: &Arc<Session>, reason: EndReason) {
    grants.sessions.end(session, reason).await;
    // `end` does nothing if the session had already ended, but this refresh may have put a proof into
    // the ledger since then.
    grants.sessions.ledger.forget_proof(session.id);
}
