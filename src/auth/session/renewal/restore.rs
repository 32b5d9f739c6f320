//! Bringing a session back after our restart, from the cookie alone.
//!
//! By refreshing at the issuer, which also shows that the session has not been revoked; once, for
//! all requests that come with the same cookie. An issuer that gives no verdict leaves the cookie
//! as it is.

use std::sync::Arc;

use openidconnect::RefreshToken;
use tracing::{debug, info, warn};

use crate::auth::Person;
use crate::auth::issuer::token_endpoint::{Granted, IdTokenError};
use crate::auth::session::live::{Session, Tokens};
use crate::auth::session::renewal::refresh::{Parts, Renewal};
use crate::auth::session::store::sessions::{End, proof};
use crate::auth::session::ticket::{Proof, Ticket};

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) enum Restored {
    Live(Arc<Session>),
    /// It is no more.
    Over,
    /// The issuer has given no verdict.
    Unavailable,
}

impl Renewal {
    /// Joins or begins bringing it back.
    pub(crate) async fn restore(&self, ticket: Ticket) -> Restored {
        let flight = self.restores.join(&self.tasks, ticket.id, || {
            let parts = Arc::clone(self);
            async move { parts.restore(ticket).await }
        });
        flight.landed().await.unwrap_or(Restored::Unavailable)
    }
}

impl Parts {
    async fn restore(&self, mut ticket: Ticket) -> Restored {
        let (ledger, id) = (self.sessions.ledger.clone(), ticket.id);
        let kept = self.tasks.block(move || ledger.kept(id)).await.ok().flatten();
        let is_kept = kept.is_some();
        match kept.unwrap_or_else(|| ticket.proof.clone()) {
            Proof::Refresh(token) => {
                self.by_refresh(ticket, RefreshToken::new(token), is_kept).await
            }
            Proof::Identity(claims) => {
                let Some(person) = self.identities.of_sealed(&ticket.subject, &claims) else {
                    return Restored::Over;
                };
                ticket.proof = Proof::Identity(claims);
                self.live(ticket, person, None, Tokens::none(), is_kept).await
            }
            Proof::InLedger => Restored::Over,
        }
    }

    async fn by_refresh(&self, mut ticket: Ticket, token: RefreshToken, is_kept: bool) -> Restored {
        if !self.issuer.is_up() {
            return Restored::Unavailable;
        }
        let granted = match self.trade(ticket.id, &token).await {
            Ok(granted) => granted,
            Err(error) if error.ends_session() => {
                self.sessions.end_ticket(&ticket, End::Revoked);
                return Restored::Over;
            }
            Err(error) => {
                warn!(reason = %error, "session could not be brought back yet");
                return Restored::Unavailable;
            }
        };
        let (person, sid) = match self.who(&ticket, &granted).await {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        let is_kept = is_kept || granted.new_token(&token).is_some();
        let mut tokens = self.tokens(granted, None);
        tokens.refresh.get_or_insert(token);
        ticket.proof = proof(&tokens, &person);
        self.live(ticket, person, sid, tokens, is_kept).await
    }

    /// The person who was refreshed: the cookie's, or nobody.
    async fn who(
        &self,
        ticket: &Ticket,
        granted: &Granted,
    ) -> Result<(Person, Option<String>), Restored> {
        let Some(token) = &granted.id_token else {
            let person = self.identities.by_userinfo(&ticket.subject, &granted.access_token).await;
            return person.map(|person| (person, None)).ok_or(Restored::Unavailable);
        };
        match self.issuer.verify(token, None).await {
            Ok(verified) if verified.subject == ticket.subject => {
                let sid = verified.sid.clone();
                Ok((self.identities.of(verified, &granted.access_token).await, sid))
            }
            Err(IdTokenError::UnknownKey) => Err(Restored::Unavailable),
            Ok(_) | Err(IdTokenError::Untrusted(_) | IdTokenError::BadSignature) => {
                self.sessions.end_ticket(ticket, End::Untrusted);
                Err(Restored::Over)
            }
        }
    }

    async fn live(
        &self,
        ticket: Ticket,
        person: Person,
        sid: Option<String>,
        tokens: Tokens,
        is_kept: bool,
    ) -> Restored {
        if self.is_unproven(&person) {
            self.sessions.end_ticket(&ticket, End::Unverified);
            return Restored::Over;
        }
        let refresh = tokens.refresh.clone();
        let grant = self.seal(Arc::new(person), tokens, ticket.clone(), is_kept).await;
        if let Some(session) = self.sessions.insert(&ticket, sid, grant) {
            info!(user = session.person().user, "session brought back");
            return Restored::Live(session);
        }
        debug!("a session was signed out while it was brought back");
        self.sessions.ledger.forget(ticket.id);
        if let Some(token) = refresh {
            self.issuer.revoke(&token).await;
        }
        Restored::Over
    }
}
