//! A login puts its session in force and ends the sessions that the browser had before.
//!
//! A replaced session ends at the issuer, too: its refresh token would otherwise work on for as long
//! as the issuer allows, although nobody can sign out of it any more. A token of the same session of
//! the issuer stays: its revocation would end the new session.

use std::sync::Arc;

use openidconnect::RefreshToken;
use tracing::info;

use super::consent::Admitted;
use crate::auth::person::claims;
use crate::auth::runtime::tally::LoginResult;
use crate::auth::session::renewal::Grants;
use crate::auth::session::store::{
    Barred, EndReason, EndedSession, Found, SessionStore as _, Which,
};
use crate::auth::session::{Proof, Session, SessionId, Ticket};

/// Puts the session of a login in force and ends the sessions that the browser had before. The
/// configuration in force decides, which may be newer than the login.
pub(super) async fn put_in_force(
    grants: &Grants,
    admitted: Admitted,
    before: Vec<Found>,
) -> Result<Arc<Session>, Barred> {
    let Admitted { ticket, person, tokens, arrival } = admitted;
    let grant = grants.seal(person, tokens, ticket.clone(), false).await;
    let inserted = grants.sessions.put(&ticket, grant, arrival).await;
    let session = inserted.inspect_err(|_| grants.sessions.ledger.forget_proof(ticket.id))?;
    info!(user = session.person().user, "signed in");
    grants.sessions.tally.login(LoginResult::Success);
    for before in before {
        match before {
            Found::Live(before, _) => replace_live(grants, &before, &session).await,
            Found::Sealed(ticket) => replace_sealed(grants, ticket, &session).await,
            Found::Nobody(_) => {}
        }
    }
    Ok(session)
}

/// Ends a session that a login replaces and of which only the id is known.
pub(super) async fn replace_by_id(grants: &Grants, id: SessionId, by: &Session) {
    let which = Which::One { id, subject: None };
    let ended = grants.sessions.end_all(which, EndReason::Replaced).await;
    if ended.is_empty() {
        grants.sessions.end_id(id, EndReason::Replaced).await;
    }
    for EndedSession { sid, refresh } in ended {
        revoke(grants, sid.as_deref(), refresh, by);
    }
}

/// Ends a session unless both belong to the same session of the issuer: then another tab has just
/// signed in, and both end together.
async fn replace_live(grants: &Grants, before: &Arc<Session>, by: &Session) {
    let same = before.sid.is_some() && before.sid == by.sid;
    if !same || before.person().subject != by.person().subject {
        end_live(grants, before, by).await;
    }
}

async fn end_live(grants: &Grants, before: &Arc<Session>, by: &Session) {
    // The newest refresh token; a refresh that runs now finds its session ended and revokes its own.
    grants.sessions.end(before, EndReason::Replaced).await;
    let refresh = before.grant().tokens.refresh.clone();
    revoke(grants, before.sid.as_deref(), refresh, by);
}

/// Revokes the refresh token of a session that has ended, unless it belongs to the issuer's session of
/// `by`.
fn revoke(grants: &Grants, sid: Option<&str>, refresh: Option<RefreshToken>, by: &Session) {
    if let Some(token) = refresh
        && !(sid.is_some() && sid == by.sid.as_deref())
        && !shares_session(&token, by)
    {
        grants.revoke(token);
    }
}

/// Ends a session from before a restart that has not been restored.
async fn replace_sealed(grants: &Grants, ticket: Ticket, by: &Session) {
    let kept = grants.kept_proof(ticket.id).await;
    grants.sessions.end_ticket(&ticket, EndReason::Replaced).await;
    if let Proof::Refresh(token) = kept.unwrap_or(ticket.proof) {
        let token = RefreshToken::new(token);
        if !shares_session(&token, by) {
            grants.revoke(token);
        }
    }
}

/// Whether a refresh token says that it belongs to the issuer's session of `by`. Keycloak's tokens
/// do, and Keycloak is the issuer that ends a whole session with one token.
fn shares_session(token: &RefreshToken, by: &Session) -> bool {
    let claims = claims::payload(token.secret());
    let sid = claims.as_ref().and_then(|claims| claims.get("sid")?.as_str());
    sid.is_some() && sid == by.sid.as_deref()
}
