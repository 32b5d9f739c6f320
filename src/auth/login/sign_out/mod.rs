//! `/oauth2/sign_out`: ends the session at the appliance, at the issuer and in every tunnel.
//!
//! The browser is sent to the issuer, which ends its session and removes its cookies (OpenID Connect
//! RP-Initiated Logout 1.0). Unless the browser soon comes back from there, the appliance ends the
//! issuer's session itself, by revoking the refresh token. A refresh token with `offline_access` is
//! always revoked, because it outlives the issuer's session (OpenID Connect Core 1.0 section 11).

mod backchannel;
mod departures;
mod frontchannel;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use openidconnect::RefreshToken;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Login, Reply, return_path};
use crate::auth::runtime::clock;
use crate::auth::session::store::{EndReason, Found, SessionStore as _, Which};
use crate::auth::session::{Proof, Session, Ticket};
use crate::texts::Text;

pub(super) use backchannel::BackchannelLogout;
pub(super) use departures::Departures;
pub(super) use frontchannel::serve as log_out_by_frame;

/// Longer URLs are not accepted everywhere. Keycloak's ID token grows with the person's groups.
const MAX_URL: usize = 4096;

/// How long the browser has to reach the issuer before the refresh token is revoked. A revocation
/// ends Keycloak's session, and Keycloak then neither signs out at a brokered provider nor leads
/// the browser back.
const LEAD: Duration = Duration::from_secs(5);

/// What the sign-out at the issuer needs to know of a session that has ended.
struct IssuerLogout {
    subject: Arc<str>,
    /// The ID token, for `id_token_hint`.
    hint: Option<Arc<str>>,
    revocation: Option<Revocation>,
}

/// The way of the browser to the issuer and back. Its end without a message is no return.
type Errand = oneshot::Receiver<()>;

/// A revocation that waits for its start. Dropping it starts the revocation at once.
struct Revocation {
    start: oneshot::Sender<Errand>,
    done: JoinHandle<()>,
}

impl Login {
    /// `/oauth2/sign_out?rd=` if nobody knows whether the person wants to sign out: a page with one
    /// button.
    pub(crate) fn ask_sign_out(&self, query: &str, headers: &HeaderMap) -> Reply {
        let back = self.return_path(query, headers);
        let rd: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
        Reply::page(StatusCode::OK, Text::SignOutQuestion, Text::SignOutPending)
            .with_form(Text::SignOut, format!("/oauth2/sign_out?rd={rd}"))
    }

    /// `/oauth2/sign_out?rd=`. The caller must have made sure that the person wants it.
    pub(crate) async fn sign_out(&self, query: &str, headers: &HeaderMap) -> Reply {
        let mut logouts = Vec::new();
        let sessions = &self.grants.sessions;
        for found in sessions.find_all(headers, clock::now()) {
            match found {
                Found::Live(session, _) => logouts.push(self.end_live(&session).await),
                Found::Sealed(ticket) => logouts.push(self.end_sealed(ticket).await),
                Found::Nobody(_) => {}
            }
        }
        let back = format!("{}{}", self.origin(headers), self.return_path(query, headers));
        let reply = match self.end_session_url(&back, logouts).await {
            Some(url) => Reply::redirect(url),
            None => Reply::page(StatusCode::OK, Text::SignedOut, Text::SignedOutHere)
                .with_action(Text::SignInAgain, return_path::start_path("/")),
        };
        reply.with_cookie(sessions.cookies.clear(&sessions.cookies.session))
    }

    /// Where a browser goes on that comes back from its sign-out at the issuer.
    pub(crate) fn take_return(&self, path: &str, query: &str) -> Option<String> {
        self.departures.take_return(path, query)
    }

    /// Ends a session in force and every other session that belongs to the same session of the
    /// issuer.
    async fn end_live(&self, session: &Arc<Session>) -> IssuerLogout {
        self.grants.sessions.end(session, EndReason::SignedOut).await;
        self.end_siblings(session.subject(), session.sid.as_deref()).await;
        let tokens = session.grant().tokens.clone();
        let revocation = tokens.refresh.map(|token| self.revoke(token));
        IssuerLogout { subject: session.subject().into(), hint: tokens.id, revocation }
    }

    async fn end_siblings(&self, subject: &str, sid: Option<&str>) {
        if let Some(sid) = sid {
            let siblings = Which::OfIssuerSession { sid, subject: Some(subject) };
            self.grants.sessions.end_all(siblings, EndReason::SignedOut).await;
        }
    }

    /// The same for a session from before a restart that has not been restored.
    async fn end_sealed(&self, ticket: Ticket) -> IssuerLogout {
        let kept = self.grants.kept_proof(ticket.id).await;
        self.grants.sessions.end_ticket(&ticket, EndReason::SignedOut).await;
        self.end_siblings(&ticket.subject, ticket.sid.as_deref()).await;
        let subject = ticket.subject.as_str().into();
        let revocation = match kept.unwrap_or(ticket.proof) {
            Proof::Refresh(token) => Some(self.revoke(RefreshToken::new(token))),
            Proof::Identity(_) | Proof::InLedger => None,
        };
        IssuerLogout { subject, hint: None, revocation }
    }

    fn revoke(&self, token: RefreshToken) -> Revocation {
        let (issuer, tasks) = (self.grants.issuer.clone(), self.grants.tasks.clone());
        let (start, started) = oneshot::channel();
        let done = self.grants.tasks.spawn(async move {
            if let Ok(errand) = started.await {
                tokio::select! {
                    biased;
                    Ok(()) = errand => return,
                    () = tasks.pause(LEAD) => {}
                }
            }
            issuer.revoke(&token).await;
        });
        Revocation { start, done }
    }

    /// The URL at the issuer that ends its session; `None` if the issuer has none or is down.
    async fn end_session_url(&self, back: &str, logouts: Vec<IssuerLogout>) -> Option<String> {
        let issuer = &self.grants.issuer;
        let endpoint = issuer.end_session_endpoint()?;
        let url = |hint: Option<&str>, mark: Option<&str>| {
            let mut url = endpoint.clone();
            let mut query = url.query_pairs_mut();
            if let Some(hint) = hint {
                query.append_pair("id_token_hint", hint);
            }
            query.append_pair("client_id", issuer.registration.client_id.as_str());
            query.append_pair("post_logout_redirect_uri", back);
            if let Some(mark) = mark {
                query.append_pair("state", mark);
            }
            drop(query);
            String::from(url)
        };
        let (mark, errand) = if self.offline_access {
            (None, oneshot::channel().1)
        } else {
            let (mark, errand) = self.departures.depart(back);
            (Some(mark), errand)
        };
        let hinted = common_hint(&logouts).map(|hint| url(Some(&hint), mark.as_deref()));
        let mut revocations: Vec<_> =
            logouts.into_iter().filter_map(|logout| logout.revocation).collect();
        if let Some(hinted) = hinted.filter(|url| url.len() <= MAX_URL) {
            // The browser ends one session at the issuer; the revocations of others start at once.
            if let Some(Revocation { start, .. }) = revocations.pop() {
                let _ = start.send(errand);
            }
            return Some(hinted);
        }
        // Without a hint the issuer asks the person for confirmation while its session is in force.
        // The revocation ends that session, so it must complete first.
        let running: Vec<_> =
            revocations.into_iter().map(|Revocation { start: _, done }| done).collect();
        for done in running {
            drop(done.await);
        }
        Some(url(None, None))
    }
}

/// The hint of the newest session, if all sessions are of one person. Otherwise one of them was planted:
/// a hint could name the person who has planted it, and the issuer's session would go on.
fn common_hint(logouts: &[IssuerLogout]) -> Option<Arc<str>> {
    let (last, others) = logouts.split_last()?;
    let is_same = others.iter().all(|other| other.subject == last.subject);
    last.hint.clone().filter(|_| is_same)
}
