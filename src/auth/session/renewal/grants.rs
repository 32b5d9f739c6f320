//! From the issuer's tokens to a session's grant: the steps that login, refresh and restore share.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use openidconnect::RefreshToken;
use tokio::task::JoinHandle;

use crate::auth::issuer::{Issuer, PersonReader, TokenError, TokenResponse};
use crate::auth::person::Person;
use crate::auth::runtime::{Tasks, clock};
use crate::auth::session::store::{SessionStore as _, Sessions};
use crate::auth::session::{Grant, Proof, Session, SessionId, Ticket, Tokens};

/// Assumed lifetime of an access token if the issuer does not state one.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);

/// Makes grants from token responses.
#[derive(Debug)]
pub(crate) struct Grants {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) people: PersonReader,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tasks: Tasks,
}

impl Grants {
    /// Exchanges a session's refresh token for new tokens. A rotated refresh token is in the ledger
    /// before anything else happens: the issuer may have invalidated the old one, and the process
    /// may be killed at any time.
    pub(super) async fn exchange_refresh_token(
        &self,
        id: SessionId,
        token: &RefreshToken,
    ) -> Result<TokenResponse, TokenError> {
        let response = self.issuer.refresh(token).await?;
        if let Some(rotated) = response.rotated_token(token) {
            self.keep_proof(id, Proof::Refresh(rotated.secret().clone())).await;
        }
        Ok(response)
    }

    /// Makes a grant with a sealed cookie for `ticket`. `kept`: the ledger keeps the ticket's proof
    /// until the browser has sent the new cookie. A proof that is too large for a cookie goes into
    /// the ledger and stays there.
    pub(crate) async fn seal(
        &self,
        person: Arc<Person>,
        tokens: Tokens,
        ticket: Ticket,
        kept: bool,
    ) -> Grant {
        let ticket = Ticket { groupless: self.people.is_groupless(&person), ..ticket };
        let (grant, whole) = self.sessions.grant(person, tokens, &ticket, kept);
        if !whole && !kept {
            self.keep_proof(ticket.id, ticket.proof).await;
        }
        grant
    }

    /// Keeps the proof of a session in the ledger from now on, so that the cookie of a frame, which
    /// contains none, brings the session back after a restart. While the session is being refreshed, the
    /// next request of the frame does so.
    pub(crate) async fn keep_for_frames(&self, session: &Session) {
        if session.is_kept_for_frames() {
            return;
        }
        // Without the lease a refresh could replace the proof meanwhile, and this would put the old one back.
        let Some(_lease) = self.sessions.lease(session.id()).await else { return };
        let proof = session.grant().tokens.proof(&session.person());
        session.set_kept_for_frames();
        self.keep_proof(session.id(), proof).await;
    }

    /// Puts the newest proof of a session into the ledger.
    async fn keep_proof(&self, id: SessionId, proof: Proof) {
        let ledger = self.sessions.ledger.clone();
        let kept = self.tasks.spawn_blocking(move || ledger.keep_proof(id, &proof));
        // Fails only if the runtime shuts down.
        drop(kept.await);
    }

    /// The proof of a session that the ledger keeps, if any.
    pub(crate) async fn kept_proof(&self, id: SessionId) -> Option<Proof> {
        let ledger = self.sessions.ledger.clone();
        self.tasks.spawn_blocking(move || ledger.kept_proof(id)).await.ok().flatten()
    }

    /// Revokes a refresh token at the issuer, in the background.
    pub(crate) fn revoke(&self, token: RefreshToken) -> JoinHandle<()> {
        let issuer = self.issuer.clone();
        self.tasks.spawn(async move {
            issuer.revoke(&token).await;
        })
    }

    /// The tokens of a response, with their times from now on. The refresh token and the ID token
    /// of `before` stay if the response has none.
    pub(crate) fn tokens(response: TokenResponse, before: Option<&Tokens>) -> Tokens {
        let lifetime = response.expires_in.unwrap_or(DEFAULT_LIFETIME);
        let now = clock::now();
        let refresh = response.refresh_token.or_else(|| before?.refresh.clone());
        let id = response.id_token.map(|token| token.to_string().into());
        let mut access = HeaderValue::try_from(response.access_token.secret()).ok();
        if let Some(value) = &mut access {
            value.set_sensitive(true);
        }
        Tokens {
            access,
            access_ends: now.saturating_add(clock::millis(lifetime)),
            lifetime,
            // Planned when the grant comes into force.
            due: None,
            lacks_claims: false,
            refresh,
            id: id.or_else(|| before?.id.clone()),
        }
    }
}
