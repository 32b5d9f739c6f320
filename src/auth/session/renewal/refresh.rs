//! Refreshing: how a session stays in step with the issuer.
//!
//! One refresh at a time for each session, in a task of its own: refresh tokens may be single-use,
//! and a browser that leaves must not take the answer with it. The issuer's "no" ends the session,
//! an outage keeps it until its hard limit; a sign-out meanwhile wins.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use openidconnect::RefreshToken;
use tracing::{debug, warn};

use crate::auth::Person;
use crate::auth::issuer::person_reader::Identities;
use crate::auth::issuer::token_endpoint::{GrantError, Granted, IdTokenError};
use crate::auth::issuer::watch::Issuer;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::single_flight::{Flight, Flights};
use crate::auth::runtime::tasks::Tasks;
use crate::auth::session::live::{Grant, Session, Tokens};
use crate::auth::session::renewal::restore::Restored;
use crate::auth::session::store::sessions::{End, Sessions, proof};
use crate::auth::session::ticket::{Proof, SessionId, Ticket};

/// Of an access token whose life the issuer does not tell.
const USUAL_LIFE: Duration = Duration::from_mins(5);

/// Keeps sessions in step with the issuer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Renewal(Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) identities: Identities,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tasks: Tasks,
    pub(crate) restores: Flights<SessionId, Restored>,
    refreshes: Flights<SessionId, ()>,
    pub(crate) terms: Terms,
}

/// On which sessions go on.
#[derive(Debug)]
pub(crate) struct Terms {
    /// How long before its end an access token is refreshed.
    pub(crate) recheck: Duration,
    pub(crate) require_verified_email: bool,
}

/// A session in step, or not.
enum Outcome {
    Renewed(Box<Grant>),
    /// No verdict: it stays as it is.
    Kept,
    Over(End),
}

impl Renewal {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        identities: Identities,
        sessions: Arc<Sessions>,
        tasks: Tasks,
        terms: Terms,
    ) -> Self {
        let (restores, refreshes) = (Flights::new(), Flights::new());
        let parts = Parts { issuer, identities, sessions, tasks, restores, refreshes, terms };
        Self(Arc::new(parts))
    }

    /// Refreshes the session if it is time; the requests of a session that waits for the issuer
    /// wait for one answer, not for each attempt.
    pub(crate) async fn keep_in_step(&self, session: &Arc<Session>, now: Millis) {
        if session.due().is_none_or(|due| now < due) || !self.0.issuer.is_up() {
            return;
        }
        let repeated = session.is_retrying();
        let flight = self.refresh(session);
        if !repeated {
            flight.landed().await;
        }
    }

    /// Joins or begins a refresh.
    pub(crate) fn refresh(&self, session: &Arc<Session>) -> Flight<()> {
        self.0.refreshes.join(&self.0.tasks, session.id, || {
            let (parts, session) = (self.0.clone(), session.clone());
            async move { parts.refresh(&session).await }
        })
    }
}

impl std::ops::Deref for Renewal {
    type Target = Arc<Parts>;

    fn deref(&self) -> &Arc<Parts> {
        &self.0
    }
}

impl Parts {
    async fn refresh(&self, session: &Arc<Session>) {
        let known = session.grant().clone();
        let Some(token) = &known.tokens.refresh else { return };
        if session.is_over() {
            return;
        }
        let user = &known.person.user;
        let fresh = match self.trade(session.id, token).await {
            Ok(granted) => self.take(session, &known, granted).await,
            Err(error) if error.ends_session() => Outcome::Over(End::Revoked),
            Err(error) => {
                warn!(user, reason = %error, "session could not be refreshed, it stays");
                Outcome::Kept
            }
        };
        match fresh {
            Outcome::Renewed(grant) => self.renew(session, *grant).await,
            Outcome::Kept => session.refresh_failed(),
            Outcome::Over(why) => {
                self.sessions.end(session, why);
                // Also when it had ended before, which was before something was kept.
                self.sessions.ledger.forget(session.id);
            }
        }
    }

    /// Trades a session's refresh token for fresh tokens. A new one is in the ledger before
    /// anything else is asked: the old one may be used up, and we may be killed.
    pub(crate) async fn trade(
        &self,
        id: SessionId,
        token: &RefreshToken,
    ) -> Result<Granted, GrantError> {
        let granted = self.issuer.refresh(token).await?;
        if let Some(new) = granted.new_token(token) {
            self.keep(id, Proof::Refresh(new.secret().clone())).await;
        }
        Ok(granted)
    }

    /// Makes a grant of what the issuer gave.
    async fn take(&self, session: &Session, known: &Grant, granted: Granted) -> Outcome {
        let subject = &known.person.subject;
        let person = match &granted.id_token {
            None => self.identities.by_userinfo(subject, &granted.access_token).await,
            Some(token) => match self.issuer.verify(token, None).await {
                Ok(verified) if verified.subject == *subject => {
                    Some(self.identities.of(verified, &granted.access_token).await)
                }
                Ok(_) => {
                    warn!(user = known.person.user, "the issuer refreshed somebody else");
                    return Outcome::Over(End::Untrusted);
                }
                // Its keys may be a moment behind; the tokens themselves are ours by right.
                Err(IdTokenError::UnknownKey) => None,
                Err(error) => {
                    warn!(user = known.person.user, reason = %error, "an ID token is not to be believed");
                    return Outcome::Over(End::Untrusted);
                }
            },
        };
        let person = match person {
            Some(person) if person.claims != known.person.claims => Arc::new(person),
            _ => known.person.clone(),
        };
        if self.is_unproven(&person) {
            return Outcome::Over(End::Unverified);
        }
        let changed =
            known.tokens.refresh.as_ref().and_then(|old| granted.new_token(old)).is_some();
        let tokens = self.tokens(granted, Some(&known.tokens));
        if !changed {
            let cookie = known.cookie.clone();
            return Outcome::Renewed(Box::new(Grant { person, tokens, cookie }));
        }
        let ticket = session.ticket(proof(&tokens, &person));
        Outcome::Renewed(Box::new(self.seal(person, tokens, ticket, true).await))
    }

    async fn renew(&self, session: &Arc<Session>, grant: Grant) {
        let user = grant.person.user.clone();
        let token = grant.tokens.refresh.clone();
        if self.sessions.renew(session, grant) {
            debug!(user, "session refreshed");
        } else {
            // Signed out meanwhile, under the token before this one.
            self.sessions.ledger.forget(session.id);
            if let Some(token) = token {
                self.issuer.revoke(&token).await;
            }
        }
    }

    /// Seals a grant's cookie. A proof that is `kept` in the ledger is there until the browser has
    /// shown that it took the cookie; one that is too large for a cookie, for good.
    pub(crate) async fn seal(
        &self,
        person: Arc<Person>,
        tokens: Tokens,
        ticket: Ticket,
        kept: bool,
    ) -> Grant {
        let (grant, whole) = self.sessions.grant(person, tokens, &ticket, kept);
        if !whole && !kept {
            self.keep(ticket.id, ticket.proof).await;
        }
        grant
    }

    /// Puts the newest proof of a session into the ledger.
    async fn keep(&self, id: SessionId, proof: Proof) {
        let ledger = self.sessions.ledger.clone();
        let kept = self.tasks.block(move || ledger.keep(id, &proof));
        // Fails only when the runtime ends, and we with it.
        drop(kept.await);
    }

    /// Whether it has an address that must be verified and is not: people can change theirs at
    /// the issuer while they are signed in.
    pub(crate) fn is_unproven(&self, person: &Person) -> bool {
        self.terms.require_verified_email
            && person.email.claimed().is_some()
            && !person.email.is_verified()
    }

    /// The tokens with their times, from now on.
    pub(crate) fn tokens(&self, granted: Granted, before: Option<&Tokens>) -> Tokens {
        let life = granted.expires_in.unwrap_or(USUAL_LIFE);
        let now = clock::now();
        let refresh = granted.refresh_token.or_else(|| before?.refresh.clone());
        let early = self.terms.recheck.min(life / 2);
        let id = granted.id_token.map(|token| token.to_string().into());
        let mut access = HeaderValue::try_from(granted.access_token.secret()).ok();
        if let Some(value) = &mut access {
            value.set_sensitive(true);
        }
        Tokens {
            access,
            access_ends: now.saturating_add(clock::millis(life)),
            due: refresh
                .as_ref()
                .map(|_| now.saturating_add(clock::millis(life.saturating_sub(early)))),
            refresh,
            id: id.or_else(|| before?.id.clone()),
        }
    }
}
