//! Restores a session after a restart of the appliance, from its cookie alone.
//!
//! The session is refreshed at the issuer, which also shows that it has not been revoked; once for
//! all requests that carry the same cookie. If the issuer gives no verdict, the cookie stays valid.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::RefreshToken;
use tracing::{debug, info, warn};

use super::grants::Grants;
use crate::auth::issuer::{Identified, TokenResponse, Untold};
use crate::auth::person::Person;
use crate::auth::runtime::{SingleFlight, Turnstile};
use crate::auth::session::device::Device;
use crate::auth::session::store::{Arrival, Barred, EndReason, SessionStore as _};
use crate::auth::session::{Proof, Session, SessionId, Ticket, Tokens};

/// How long a restore waits while too many others run.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Restores sessions. Cheap to clone; clones share the running restores.
#[derive(Debug, Clone)]
pub(crate) struct Restorer {
    grants: Arc<Grants>,
    running: SingleFlight<SessionId, Restored>,
    turnstile: Turnstile,
}

/// The result of restoring a session.
#[derive(Debug, Clone)]
pub(crate) enum Restored {
    Live(Arc<Session>),
    /// The session is over.
    Over,
    /// The issuer gave no verdict.
    Unavailable,
}

impl Restorer {
    pub(crate) fn new(grants: Arc<Grants>) -> Self {
        Self { grants, running: SingleFlight::new(), turnstile: Turnstile::default() }
    }

    /// The same with other grants; the restores that run are shared.
    pub(crate) fn with(&self, grants: Arc<Grants>) -> Self {
        Self { grants, running: self.running.clone(), turnstile: self.turnstile.clone() }
    }

    /// Restores the session of a ticket that contains no proof, if the ledger keeps one. Without it nothing
    /// begins: a request with the session cookie, which contains a proof, would join what fails.
    pub(crate) async fn restore_kept(&self, ticket: Ticket, device: Device) -> Restored {
        match self.grants.kept_proof(ticket.id).await {
            Some(_) => self.restore(ticket, device).await,
            None => Restored::Over,
        }
    }

    /// Restores the session of a ticket, or joins the restore that runs. `device` causes it.
    pub(crate) async fn restore(&self, ticket: Ticket, device: Device) -> Restored {
        let flight = self.running.join_or_start(&self.grants.tasks, ticket.id, || {
            let (grants, turnstile) = (self.grants.clone(), self.turnstile.clone());
            async move {
                match turnstile.enter_within(device.client_ip(), MAX_WAIT).await {
                    Some(_pass) => restore(&grants, ticket, device).await,
                    None => Restored::Unavailable,
                }
            }
        });
        flight.result().await.unwrap_or(Restored::Unavailable)
    }
}

async fn restore(grants: &Grants, mut ticket: Ticket, device: Device) -> Restored {
    let kept = grants.kept_proof(ticket.id).await;
    let is_kept = kept.is_some();
    match kept.unwrap_or_else(|| ticket.proof.clone()) {
        Proof::Refresh(token) => {
            by_refresh(grants, ticket, device, RefreshToken::new(token), is_kept).await
        }
        Proof::Identity(_) if !grants.sessions.refresh_tokens.are_never_granted() => {
            warn!(
                "a session cookie carries an identity without a refresh token, although the \
                 issuer grants refresh tokens; it is refused"
            );
            Restored::Over
        }
        Proof::Identity(claims) => {
            let Some(person) = grants.people.by_sealed_claims(&ticket.subject, &claims) else {
                return Restored::Over;
            };
            ticket.proof = Proof::Identity(claims);
            insert(grants, ticket, device, (person, Tokens::none()), is_kept).await
        }
        Proof::InLedger => Restored::Over,
    }
}

async fn by_refresh(
    grants: &Grants,
    mut ticket: Ticket,
    device: Device,
    token: RefreshToken,
    is_kept: bool,
) -> Restored {
    if !grants.issuer.is_up() {
        return Restored::Unavailable;
    }
    let response = match grants.exchange_refresh_token(ticket.id, &token).await {
        Ok(response) => response,
        Err(error) if error.ends_session() => {
            grants.sessions.end_ticket(&ticket, EndReason::Revoked).await;
            return Restored::Over;
        }
        Err(error) => {
            warn!(reason = %error, "cannot restore a session yet");
            return Restored::Unavailable;
        }
    };
    let Identified { person, sid } = match current_person(grants, &ticket, &response).await {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    let is_kept = is_kept || response.rotated_token(&token).is_some();
    let mut tokens = Grants::tokens(response, None);
    tokens.refresh.get_or_insert(token);
    ticket.proof = tokens.proof(&person);
    // The response to a refresh may come without an ID token (OpenID Connect Core §12.2).
    ticket.sid = sid.or(ticket.sid);
    insert(grants, ticket, device, (person, tokens), is_kept).await
}

/// The person whose session was refreshed, and the `sid` of the issuer's session. The error is the
/// result of the restore: the person must be the one of the ticket.
async fn current_person(
    grants: &Grants,
    ticket: &Ticket,
    response: &TokenResponse,
) -> Result<Identified, Restored> {
    let reason = match grants.people.at_refresh(&ticket.subject, ticket.groupless, response).await {
        Ok(identified) => return Ok(identified),
        Err(Untold::NoVerdict(reason)) => {
            if let Some(reason) = reason {
                warn!(reason, "cannot restore a session yet");
            }
            return Err(Restored::Unavailable);
        }
        Err(Untold::Revoked) => EndReason::Revoked,
        Err(Untold::AnotherPerson | Untold::Untrusted(_)) => EndReason::Untrusted,
    };
    grants.sessions.end_ticket(ticket, reason).await;
    Err(Restored::Over)
}

/// Adds the restored session to the store. If the session was signed out in the meantime, its
/// refresh token is revoked instead.
async fn insert(
    grants: &Grants,
    ticket: Ticket,
    device: Device,
    (person, tokens): (Person, Tokens),
    is_kept: bool,
) -> Restored {
    let refresh = tokens.refresh.clone();
    let grant = grants.seal(Arc::new(person), tokens, ticket.clone(), is_kept).await;
    let arrival = Arrival { began: ticket.began(), device };
    match grants.sessions.put(&ticket, grant, arrival).await {
        Ok(session) => {
            info!(user = session.person().user, "session restored");
            return Restored::Live(session);
        }
        Err(Barred::By(reason)) => grants.sessions.end_ticket(&ticket, reason).await,
        Err(Barred::HasEnded) => {
            debug!("a session was signed out while it was being restored");
            grants.sessions.ledger.forget_proof(ticket.id);
            if let Some(token) = refresh {
                grants.issuer.revoke(&token).await;
            }
        }
    }
    Restored::Over
}
