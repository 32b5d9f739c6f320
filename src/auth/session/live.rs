//! A session in force: the person, the limits, and how open tunnels learn of a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::{Notify, watch};

use super::device::Device;
use super::grant::Grant;
use super::ticket::{Proof, SessionId, Ticket};
use crate::auth::person::{Assertions, Person, Signer};
use crate::auth::runtime::clock::{self, Millis};
use crate::config::AppName;

/// Back-off after a refresh without a verdict; doubled with every failure, up to 32 times.
const RETRY: Duration = Duration::from_secs(1);

/// A session in force.
pub struct Session {
    pub(super) id: SessionId,
    pub(super) subject: Arc<str>,
    /// When the person logged in, seconds since 1970.
    pub(super) signed_in: u64,
    /// The same in milliseconds, where they are known: those of a token that counts as issued now.
    pub(super) began: Millis,
    /// See [`Ticket::until`].
    pub(super) until: u64,
    /// Identifier of the issuer's session (`sid`). Several sessions of the appliance may belong to
    /// one session of the issuer.
    pub(crate) sid: Option<Arc<str>>,
    /// The absolute limit: `[session] lifetime` after the login.
    ends: AtomicU64,
    grant: ArcSwap<Grant>,
    assertions: Assertions,
    state: watch::Sender<SessionState>,
    over: AtomicBool,
    /// When a person last used the session.
    used: AtomicU64,
    /// When the last request came, also one that a page sent by itself.
    requested: AtomicU64,
    /// When the next refresh may start after a failed one; 0 if the last one did not fail.
    retry: AtomicU64,
    /// Number of refreshes that have failed in a row.
    failures: AtomicU32,
    /// Where the person has signed in.
    pub(super) device: Device,
    /// Number of open tunnels.
    tunnels: AtomicUsize,
    /// The apps that the session has used, one bit each.
    visited: AtomicU64,
    /// See [`Self::is_program`].
    is_program: bool,
    /// See [`Self::is_kept_for_frames`].
    kept_for_frames: AtomicBool,
    /// Wakes the upkeep of all sessions, because this one may need it earlier than planned.
    wake: Arc<Notify>,
}

/// What an access token says about the session that stands for it.
#[derive(Debug)]
pub(crate) struct ProgramTerms {
    pub(crate) issued: Millis,
    pub(crate) ends: Millis,
    /// The session of the issuer that the token belongs to, if any.
    pub(crate) sid: Option<String>,
}

/// Counts one open tunnel of a session. A session with an open tunnel is refreshed without a
/// request.
#[derive(Debug)]
pub struct TunnelGuard(Arc<Session>);

/// What a tunnel needs to know about its session.
#[derive(Debug, Clone)]
pub enum SessionState {
    /// In force for this person, whose groups may have changed.
    Live(Arc<Person>),
    /// Signed out, expired or revoked.
    Ended,
}

/// When a session was last used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    /// By a person.
    pub(super) used: Millis,
    /// By any request.
    pub(super) requested: Millis,
}

impl Session {
    /// A session that starts now. `wake` is notified when the session needs upkeep earlier.
    pub(super) fn new(
        ticket: &Ticket,
        ends: Millis,
        grant: Grant,
        assertions: Assertions,
        device: Device,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            id: ticket.id,
            subject: ticket.subject.as_str().into(),
            signed_in: ticket.signed_in,
            began: ticket.signed_in.saturating_mul(1000),
            until: ticket.until,
            sid: ticket.sid.as_deref().map(Arc::from),
            ends: AtomicU64::new(ends),
            state: watch::Sender::new(SessionState::Live(grant.person.clone())),
            grant: ArcSwap::from_pointee(grant),
            assertions,
            over: AtomicBool::new(false),
            used: AtomicU64::new(clock::now()),
            requested: AtomicU64::new(clock::now()),
            retry: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            device,
            tunnels: AtomicUsize::new(0),
            visited: AtomicU64::new(0),
            is_program: false,
            kept_for_frames: AtomicBool::new(false),
            wake,
        }
    }

    /// The session of a program that has sent `token`, an access token that was verified. It is as old
    /// as the token, ends with the token, has no cookie, and is in no store.
    pub(crate) fn of_program(
        token: &str,
        person: Person,
        terms: ProgramTerms,
        signer: Arc<Signer>,
        wake: Arc<Notify>,
    ) -> Self {
        let ticket = Ticket {
            id: SessionId::random(),
            subject: person.subject.clone(),
            signed_in: terms.issued / 1000,
            proof: Proof::InLedger,
            until: terms.ends / 1000,
            sid: terms.sid,
            groupless: false,
        };
        let grant = Grant::of_program(token, person, terms.ends);
        let session =
            Self::new(&ticket, terms.ends, grant, Assertions::new(signer), Device::default(), wake);
        Self { is_program: true, began: terms.issued, ..session }
    }

    /// Whether a program has opened the session with an access token.
    pub fn is_program(&self) -> bool {
        self.is_program
    }

    /// Whether the ledger keeps the proof of the session for as long as it lasts: a frame has a cookie
    /// that names the session and contains no proof.
    pub(super) fn is_kept_for_frames(&self) -> bool {
        self.kept_for_frames.load(Ordering::Relaxed)
    }

    pub(super) fn set_kept_for_frames(&self) {
        self.kept_for_frames.store(true, Ordering::Relaxed);
    }

    /// What the issuer says now about the account of a program.
    pub(crate) fn set_person(&self, person: Person) {
        let known = self.grant.load_full();
        if *known.person != person {
            self.replace(Grant { person: Arc::new(person), ..(*known).clone() });
        }
    }

    /// The absolute limit.
    pub(crate) fn ends(&self) -> Millis {
        self.ends.load(Ordering::Relaxed)
    }

    /// Changes what a reload can change beside the grant: the absolute limit, and who signs the
    /// identity assertions.
    pub(super) fn set_limits(&self, ends: Millis, signer: &Arc<Signer>) {
        self.ends.store(ends, Ordering::Relaxed);
        self.assertions.sign_with(signer);
    }

    /// The person as of the last login or refresh. Cheap.
    pub fn person(&self) -> Arc<Person> {
        self.grant.load().person.clone()
    }

    /// Whether the last refresh has left this person unchanged. Cheap.
    pub fn has_person(&self, person: &Arc<Person>) -> bool {
        Arc::ptr_eq(&self.grant.load().person, person)
    }

    /// The access token as a header value, for apps that ask for it. `None` if it has expired and
    /// could not be refreshed.
    pub fn access_token(&self) -> Option<HeaderValue> {
        self.access_token_and_life().map(|(token, _)| token)
    }

    /// The same, and how long it is still valid.
    pub fn access_token_and_life(&self) -> Option<(HeaderValue, Duration)> {
        let grant = self.grant.load();
        let left = grant.tokens.access_ends.checked_sub(clock::now()).filter(|left| *left > 0)?;
        Some((grant.tokens.access.clone()?, Duration::from_millis(left)))
    }

    /// How long until the next refresh may start; `None` without a refresh token, when no other access
    /// token ever comes.
    pub fn next_refresh(&self) -> Option<Duration> {
        self.due().map(|due| Duration::from_millis(due.saturating_sub(clock::now())))
    }

    /// The signed identity assertion for `app` as a header value. Valid for at least two minutes
    /// unless the session ends earlier. `None` if signing fails.
    pub fn assertion(&self, app: &AppName) -> Option<HeaderValue> {
        self.assertions.current(app, &self.grant.load().person, self.ends(), clock::now())
    }

    /// Registers an open tunnel. The receiver changes when the person changes and when the session
    /// ends; it counts as changed at once if the session has already ended.
    pub fn tunnel(self: &Arc<Self>) -> (TunnelGuard, watch::Receiver<SessionState>) {
        let is_first = self.tunnels.fetch_add(1, Ordering::Relaxed) == 0;
        let mut changes = self.state.subscribe();
        if self.is_over() {
            changes.mark_changed();
        }
        if is_first {
            self.wake.notify_one();
        }
        (TunnelGuard(self.clone()), changes)
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// Tells this session from all others of this process.
    pub fn number(&self) -> u128 {
        self.id.number()
    }

    /// Notes that the session uses an app. Whether it has used the app before. Cheap.
    pub fn visit(&self, mark: u64) -> bool {
        let known = self.visited.load(Ordering::Relaxed) & mark != 0;
        if !known {
            self.visited.fetch_or(mark, Ordering::Relaxed);
        }
        known
    }

    /// Records a WebSocket message of the client other than ping and pong.
    pub fn touch(&self) {
        self.touch_at(clock::now(), true);
    }

    /// Records a request. `is_use`: a person causes it.
    pub(crate) fn touch_at(&self, now: Millis, is_use: bool) {
        self.requested.store(now, Ordering::Relaxed);
        if is_use {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// Who has the session: the `sub` of the issuer.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The ticket for the session's next cookie. Its sealing notes what is known of the groups.
    pub(in crate::auth) fn ticket(&self, proof: Proof) -> Ticket {
        Ticket {
            id: self.id,
            subject: self.subject.to_string(),
            signed_in: self.signed_in,
            proof,
            until: self.until,
            sid: self.sid.as_deref().map(str::to_owned),
            groupless: false,
        }
    }

    pub(super) fn activity(&self) -> Activity {
        let at = |time: &AtomicU64| time.load(Ordering::Relaxed);
        Activity { used: at(&self.used), requested: at(&self.requested) }
    }

    pub(crate) fn grant(&self) -> arc_swap::Guard<Arc<Grant>> {
        self.grant.load()
    }

    /// Whether the session has ended. Cheap.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Number of open tunnels.
    pub(super) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }

    pub(crate) fn has_tunnels(&self) -> bool {
        self.tunnels() > 0
    }

    /// When the next refresh may start; `None` without a refresh token.
    pub(crate) fn due(&self) -> Option<Millis> {
        let retry = self.retry.load(Ordering::Relaxed);
        self.grant.load().tokens.due.map(|due| due.max(retry))
    }

    /// Whether a request has to wait for the refresh: only the issuer can tell whether the session is
    /// still in force there, or what the claims say.
    pub(super) fn needs_refresh(&self, now: Millis) -> bool {
        self.grant.load().tokens.need_refresh(now)
    }

    /// Records a refresh without a verdict: the next one is delayed, longer with every failure.
    pub(super) fn refresh_failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = RETRY.saturating_mul(1 << failures.min(5));
        self.retry.store(clock::now() + clock::millis(pause), Ordering::Relaxed);
    }

    /// Whether the last refresh has failed.
    pub(super) fn is_retrying(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    /// Replaces the grant after a refresh. Returns `false`, and changes nothing, if the session has
    /// ended in the meantime.
    pub(super) fn renew(&self, grant: Grant) -> bool {
        let live = self.replace(grant);
        if live {
            self.retry.store(0, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        live
    }

    /// Replaces the grant and tells tunnels if the person has changed. Returns `false`, and changes
    /// nothing, if the session has ended.
    pub(super) fn replace(&self, grant: Grant) -> bool {
        let person = grant.person.clone();
        let mut live = false;
        self.state.send_if_modified(|state| match state {
            SessionState::Ended => false,
            SessionState::Live(known) => {
                live = true;
                self.grant.store(Arc::new(grant));
                let changed = !Arc::ptr_eq(known, &person);
                *known = person;
                changed
            }
        });
        live
    }

    /// Ends the session. Returns `false` if it had already ended.
    pub(crate) fn end(&self) -> bool {
        self.state.send_if_modified(|state| {
            self.over.store(true, Ordering::Release);
            !matches!(std::mem::replace(state, SessionState::Ended), SessionState::Ended)
        })
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
