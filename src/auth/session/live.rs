//! A live session: who, until when, and whoever has to know when that changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use openidconnect::RefreshToken;
use tokio::sync::{Notify, watch};

use crate::auth::Person;
use crate::auth::person::assertion::Assertions;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::ticket::{Proof, SessionId, Ticket};
use crate::config::AppName;

/// After a refresh without a verdict; doubled each time, up to 32 times this.
const RETRY: Duration = Duration::from_secs(1);

/// A login that is in force.
pub struct Session {
    pub(crate) id: SessionId,
    subject: String,
    /// When the login was, seconds since 1970.
    signed_in: u64,
    /// The issuer's session (`sid`): several of ours may hang on it.
    pub(crate) sid: Option<String>,
    /// The certain end.
    pub(crate) ends: Millis,
    grant: ArcSwap<Grant>,
    assertions: Assertions,
    state: watch::Sender<SessionState>,
    over: AtomicBool,
    used: AtomicU64,
    /// A refresh has failed: not again before.
    retry: AtomicU64,
    /// Refreshes that have failed in a row.
    failures: AtomicU32,
    tunnels: AtomicUsize,
    /// Tells whoever watches the sessions that one of them became due earlier.
    wake: Arc<Notify>,
}

/// What the last login or refresh brought. Replaced as a whole.
pub(crate) struct Grant {
    pub(crate) person: Arc<Person>,
    pub(crate) tokens: Tokens,
    pub(crate) cookie: Arc<SealedCookie>,
}

/// The issuer's tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// Ready to send.
    pub(crate) access: Option<HeaderValue>,
    /// The end of the access token.
    pub(crate) access_ends: Millis,
    /// When to refresh; `None` without a refresh token.
    pub(crate) due: Option<Millis>,
    pub(crate) refresh: Option<RefreshToken>,
    /// The hint of the sign-out.
    pub(crate) id: Option<Arc<str>>,
}

/// The session's cookie as the browser has it, or should.
pub(crate) struct SealedCookie {
    pub(crate) text: String,
    /// `Set-Cookie`
    pub(crate) header: HeaderValue,
    /// The ledger keeps what the cookie carries until the browser has shown it once.
    pub(crate) in_ledger: AtomicBool,
}

/// Counts a live tunnel of a session; while there is one the session is refreshed by itself.
#[derive(Debug)]
pub struct TunnelGuard(Arc<Session>);

/// What a tunnel has to know.
#[derive(Debug, Clone)]
pub enum SessionState {
    /// In force, for this person (who may have lost a group).
    Live(Arc<Person>),
    /// Over: signed out, expired, revoked.
    Ended,
}

impl Session {
    pub(crate) fn new(
        ticket: &Ticket,
        sid: Option<String>,
        ends: Millis,
        grant: Grant,
        assertions: Assertions,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            id: ticket.id,
            subject: ticket.subject.clone(),
            signed_in: ticket.signed_in,
            sid,
            ends,
            state: watch::Sender::new(SessionState::Live(grant.person.clone())),
            grant: ArcSwap::from_pointee(grant),
            assertions,
            over: AtomicBool::new(false),
            used: AtomicU64::new(clock::now()),
            retry: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            tunnels: AtomicUsize::new(0),
            wake,
        }
    }

    /// The person as of the last refresh. Cheap.
    pub fn person(&self) -> Arc<Person> {
        self.grant.load().person.clone()
    }

    /// The access token, ready to send, for apps that ask for it. `None` when it is over and the
    /// issuer could not renew it.
    pub fn access_token(&self) -> Option<HeaderValue> {
        let grant = self.grant.load();
        grant.tokens.access.clone().filter(|_| clock::now() < grant.tokens.access_ends)
    }

    /// The signed assertion of who this is for an app, ready to send; good for two minutes at
    /// least unless the session is over before.
    pub fn assertion(&self, app: &AppName) -> Option<HeaderValue> {
        self.assertions.current(app, &self.grant.load().person, self.ends, clock::now())
    }

    /// Registers a tunnel. The receiver changes when the person's groups do and when the session
    /// ends; when it has ended already it counts as changed.
    pub fn tunnel(self: &Arc<Self>) -> (TunnelGuard, watch::Receiver<SessionState>) {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
        let mut changes = self.state.subscribe();
        if self.is_over() {
            changes.mark_changed();
        }
        self.wake.notify_one();
        (TunnelGuard(self.clone()), changes)
    }

    /// The person did something (a request, or a WebSocket message that is no ping or pong).
    pub fn touch(&self) {
        self.used.store(clock::now(), Ordering::Relaxed);
    }

    /// Its next cookie.
    pub(crate) fn ticket(&self, proof: Proof) -> Ticket {
        Ticket { id: self.id, subject: self.subject.clone(), signed_in: self.signed_in, proof }
    }

    pub(crate) fn touch_at(&self, now: Millis) {
        self.used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> Millis {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn grant(&self) -> arc_swap::Guard<Arc<Grant>> {
        self.grant.load()
    }

    /// Whether it has ended. Cheap.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn has_tunnels(&self) -> bool {
        self.tunnels.load(Ordering::Relaxed) > 0
    }

    /// When the next refresh may begin; `None` without a refresh token.
    pub(crate) fn due(&self) -> Option<Millis> {
        let retry = self.retry.load(Ordering::Relaxed);
        self.grant.load().tokens.due.map(|due| due.max(retry))
    }

    /// A refresh brought no verdict: the next one waits, longer each time.
    pub(crate) fn refresh_failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = RETRY.saturating_mul(1 << failures.min(5));
        self.retry.store(clock::now() + clock::millis(pause), Ordering::Relaxed);
    }

    /// Whether the last refresh has failed.
    pub(crate) fn is_retrying(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    /// Takes what a refresh brought; `false` when the session has ended meanwhile.
    pub(crate) fn renew(&self, grant: Grant) -> bool {
        let person = grant.person.clone();
        let mut live = false;
        self.state.send_if_modified(|state| match state {
            SessionState::Ended => false,
            SessionState::Live(known) => {
                live = true;
                self.retry.store(0, Ordering::Relaxed);
                self.failures.store(0, Ordering::Relaxed);
                self.grant.store(Arc::new(grant));
                let changed = !Arc::ptr_eq(known, &person);
                *known = person;
                changed
            }
        });
        live
    }

    /// Ends it; `false` when it had ended already.
    pub(crate) fn end(&self) -> bool {
        self.state.send_if_modified(|state| {
            self.over.store(true, Ordering::Release);
            !matches!(std::mem::replace(state, SessionState::Ended), SessionState::Ended)
        })
    }
}

impl Tokens {
    /// Of a session whose issuer grants none to keep.
    pub(crate) fn none() -> Self {
        Self { access: None, access_ends: 0, due: None, refresh: None, id: None }
    }
}

impl Drop for TunnelGuard {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.grant.load().person.user)
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}
