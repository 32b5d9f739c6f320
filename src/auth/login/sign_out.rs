//! Signing out: here, at the issuer, and in every tunnel, at once.
//!
//! The issuer's session is ended by revoking the refresh token, from here, whatever the browser
//! does next; the browser is sent to the issuer nevertheless, which has cookies of its own to
//! remove (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use openidconnect::RefreshToken;
use tokio::task::JoinHandle;

use crate::auth::Auth;
use crate::auth::Reply;
use crate::auth::rd;
use crate::auth::runtime::clock;
use crate::auth::session::live::Session;
use crate::auth::session::store::sessions::{End, Found};
use crate::auth::session::ticket::{Proof, Ticket};

/// Longer addresses do not pass everywhere; Keycloak's ID token grows with the groups.
const MAX_URL: usize = 4096;

/// What the issuer gets to know of the session that ended.
#[derive(Default)]
struct Farewell {
    hint: Option<Arc<str>>,
    revocation: Option<JoinHandle<()>>,
}

impl Auth {
    /// `/oauth2/sign_out?rd=`. The caller has refused cross-site requests already.
    pub async fn sign_out(&self, query: &str, headers: &HeaderMap) -> Reply {
        let mut farewell = Farewell::default();
        for found in self.sessions.find_all(headers, clock::now()) {
            match found {
                Found::Live(session, _) => farewell = self.end_all(&session),
                Found::Sealed(ticket) => farewell = self.end_sealed(ticket).await,
                Found::Nobody { .. } => {}
            }
        }
        let back = format!("{}{}", self.origin(headers), self.way_back(&rd(query), headers));
        let reply = match self.end_session_url(&back, farewell).await {
            Some(url) => Reply::redirect(url),
            None => Reply::page(StatusCode::OK, "Signed out", "You are signed out here.")
                .with_action("Sign in again", crate::auth::login::return_path::login_path("/")),
        };
        reply.with_cookie(self.sessions.cookies.clear(&self.sessions.cookies.session))
    }

    /// Everything of ours that hangs on the issuer's session.
    fn end_all(&self, session: &Arc<Session>) -> Farewell {
        for sibling in self.sessions.siblings(session) {
            self.sessions.end(&sibling, End::SignedOut);
        }
        self.sessions.end(session, End::SignedOut);
        let tokens = session.grant().tokens.clone();
        Farewell { hint: tokens.id, revocation: tokens.refresh.map(|token| self.revoke(token)) }
    }

    /// From before our restart, not brought back yet.
    async fn end_sealed(&self, ticket: Ticket) -> Farewell {
        let (ledger, id) = (self.sessions.ledger.clone(), ticket.id);
        let kept = self.tasks.block(move || ledger.kept(id)).await.ok().flatten();
        self.sessions.end_ticket(&ticket, End::SignedOut);
        let revocation = match kept.unwrap_or(ticket.proof) {
            Proof::Refresh(token) => Some(self.revoke(RefreshToken::new(token))),
            Proof::Identity(_) | Proof::InLedger => None,
        };
        Farewell { hint: None, revocation }
    }

    fn revoke(&self, token: RefreshToken) -> JoinHandle<()> {
        let issuer = self.issuer.clone();
        self.tasks.spawn(async move {
            issuer.revoke(&token).await;
        })
    }

    /// Where the issuer signs people out; `None` when it has no such place or is down.
    async fn end_session_url(&self, back: &str, farewell: Farewell) -> Option<String> {
        let provider = self.issuer.provider().filter(|_| self.issuer.is_up())?;
        let endpoint = provider.document.end_session_endpoint.as_ref()?;
        let url = |hint: Option<&str>| {
            let mut url = endpoint.clone();
            let mut query = url.query_pairs_mut();
            if let Some(hint) = hint {
                query.append_pair("id_token_hint", hint);
            }
            query.append_pair("client_id", self.issuer.registration.client_id.as_str());
            query.append_pair("post_logout_redirect_uri", back);
            drop(query);
            String::from(url)
        };
        let hinted = farewell.hint.map(|hint| url(Some(&hint)));
        if let Some(hinted) = hinted.filter(|url| url.len() <= MAX_URL) {
            return Some(hinted);
        }
        // Without a hint the issuer asks back while its session lives: let it be over first.
        if let Some(revocation) = farewell.revocation {
            drop(revocation.await);
        }
        Some(url(None))
    }
}
