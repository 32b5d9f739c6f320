//! What the rest of `auth` asks of the place where sessions are kept.
//!
//! **Why a trait.** Several appliances may serve the same people one day, and then no process has all
//! sessions. So the callers name sessions by what they have in common ([`Which`]) instead of walking
//! over them, they get rows and tokens instead of live sessions of other processes, and every call
//! that may have to ask elsewhere is asynchronous. The first implementation is in
//! [`super::memory`]: one process that has all sessions in force in its memory, and on the disk what
//! must survive its restart.
//!
//! **Why the look-up of a request is not here.** A session in use has tunnels, a person and tokens in
//! the process that serves it, whatever keeps it. `Sessions::find` looks there first, by one lock and
//! one look-up without a future ([`super::lookup`]); only what it does not find is asked of a store.
//! That way a request of a session in use costs the same with every store.
//!
//! **Why cookies still carry a proof.** A store in memory forgets everything at a restart; the browsers
//! do not. The sealed ticket brings the session back by a refresh at the issuer. What a cookie cannot
//! know, that its session has ended meanwhile, is what the disk remembers: ids of ended sessions, and
//! marks for all sessions of a person or of a session of the issuer that began before a moment.
//!
//! **Why a lease.** A refresh token may count once. Within a process the refreshes of a session share
//! one call (`SingleFlight`); the lease is the same promise between processes. Without it nobody may
//! use the refresh token of a session in force, and [`SessionStore::renew`] takes the lease back.

use std::future::Future;
use std::sync::Arc;

use openidconnect::RefreshToken;

use super::end_reason::{Barred, EndReason};
use super::lease::Lease;
use super::listed::SessionRow;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::device::Device;
use crate::auth::session::{Grant, Session, SessionId, Ticket};

/// Sessions by what they have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// Every session in force.
    All,
    /// One, if it is a session of `subject`, where one is named.
    One { id: SessionId, subject: Option<&'a str> },
    /// All that belong to one session of the issuer, and to the person if one is named.
    OfIssuerSession { sid: &'a str, subject: Option<&'a str> },
    /// All of a person, by `sub`, but for one.
    OfSubject { subject: &'a str, except: Option<SessionId> },
    /// All of the people who have this user name.
    OfUser(&'a str),
}

/// How a session comes into force.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When its login began: an end of all sessions of a person reaches what began before.
    pub(crate) began: Millis,
    pub(crate) device: Device,
}

/// What is left of a session that has ended.
pub(crate) struct EndedSession {
    /// The session of the issuer.
    pub(crate) sid: Option<Arc<str>>,
    /// The refresh token, which the issuer still accepts.
    pub(crate) refresh: Option<RefreshToken>,
}

/// The place where sessions are kept.
pub(crate) trait SessionStore: Send + Sync {
    /// Puts a session in force. If a session with this id is in force, it stays and is returned.
    ///
    /// # Errors
    /// The session has ended meanwhile, or the configuration in force does not allow it.
    fn put(
        &self,
        ticket: &Ticket,
        grant: Grant,
        arrival: Arrival,
    ) -> impl Future<Output = Result<Arc<Session>, Barred>> + Send;

    /// The right to renew a session; `None` while somebody else has it.
    fn lease(&self, id: SessionId) -> impl Future<Output = Option<Lease>> + Send;

    /// Gives a session the result of a refresh.
    ///
    /// # Errors
    /// As for [`Self::put`].
    fn renew(
        &self,
        lease: Lease,
        session: &Arc<Session>,
        grant: Grant,
    ) -> impl Future<Output = Result<(), Barred>> + Send;

    /// Ends a session that this process serves, and closes its tunnels.
    fn end(&self, session: &Arc<Session>, reason: EndReason) -> impl Future<Output = ()> + Send;

    /// Ends a session that is known by its ticket. It need not be in force.
    fn end_ticket(&self, ticket: &Ticket, reason: EndReason) -> impl Future<Output = ()> + Send;

    /// Ends sessions, wherever they are: in force, in a cookie only, or with a login under way. Returns
    /// those that were in force.
    fn end_all(
        &self,
        which: Which<'_>,
        reason: EndReason,
    ) -> impl Future<Output = Vec<EndedSession>> + Send;

    /// Ends a session of which only the id is known. It need not be in force.
    fn end_id(&self, id: SessionId, reason: EndReason) -> impl Future<Output = ()> + Send;

    /// Uses up a logout token of the issuer, by its `jti`. `false` if it was used before.
    fn use_logout_token(&self, id: &str, ends: Millis) -> impl Future<Output = bool> + Send;

    /// The sessions in force, the last used first.
    fn list(&self, which: Which<'_>) -> impl Future<Output = Vec<SessionRow>> + Send;
}
