//! All sessions in force: adds and renews them, in memory and in the ledger. Their ends are in
//! [`super::ending`].

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::disk::Ledger;
use super::disk::Logouts;
use super::disk::RefreshTokens;
use super::disk::state_files::{self, COOKIE_NAMES};
use super::end_reason::{Barred, EndReason};
use super::idle::Idle;
use super::lease::Leases;
use super::session_store::Arrival;
use super::table::Table;
use super::terms::Terms;
use crate::auth::cookie::{Cookies, Keyring};
use crate::auth::person::{Assertions, Person};
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::tally::Tally;
use crate::auth::runtime::{Mutex, Tasks};
use crate::auth::session::{Grant, SealedCookie, Session, Ticket, Tokens};

/// The session store.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) cookies: Arc<Cookies>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) logouts: Arc<Logouts>,
    pub(crate) refresh_tokens: Arc<RefreshTokens>,
    /// The terms of this configuration.
    pub(crate) terms: Arc<Terms>,
    /// Those of the configuration in force, which the logins and refreshes of a former one obey, too.
    in_force: Arc<ArcSwap<Terms>>,
    /// `[session] lifetime`
    pub(super) lifetime: Arc<AtomicU64>,
    /// `[session] idle`; `None` if it is off.
    pub(super) idle: Option<Arc<Idle>>,
    pub(super) table: Arc<Mutex<Table>>,
    pub(super) leases: Arc<Leases>,
    /// Notified when a session may need upkeep earlier than the last review expected.
    pub(super) wake: Arc<Notify>,
    pub(super) tasks: Tasks,
    pub(crate) tally: Arc<Tally>,
}

impl Sessions {
    /// An empty store. Fails if a file of it cannot be read.
    pub(crate) fn new(
        terms: Terms,
        ledger: Ledger,
        refresh_tokens: RefreshTokens,
        limits: &crate::config::Session,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let idle = limits.idle.map(|limit| Idle::open(ledger.dir(), limit)).transpose()?;
        let logouts = Logouts::open(ledger.dir(), limits.lifetime)?;
        let terms = Arc::new(terms);
        Ok(Self {
            cookies: Arc::clone(&terms.cookies),
            keyring: Arc::clone(&terms.keyring),
            ledger: Arc::new(ledger),
            logouts: Arc::new(logouts),
            refresh_tokens: Arc::new(refresh_tokens),
            in_force: Arc::new(ArcSwap::new(Arc::clone(&terms))),
            terms,
            lifetime: Arc::new(AtomicU64::new(clock::millis(limits.lifetime))),
            idle: idle.map(Arc::new),
            table: Arc::default(),
            leases: Arc::default(),
            wake: Arc::new(Notify::new()),
            tasks,
            tally: Arc::default(),
        })
    }

    /// The same sessions under another configuration.
    ///
    /// # Errors
    /// The idle limit is new, and the file of last uses cannot be read.
    pub(crate) fn successor(
        &self,
        terms: Terms,
        limits: &crate::config::Session,
    ) -> io::Result<Self> {
        let idle = match (limits.idle, &self.idle) {
            (Some(limit), Some(known)) if known.is(limit) => Some(Arc::clone(known)),
            (Some(limit), _) => {
                self.save_last_uses(clock::now());
                Some(Arc::new(Idle::open(self.ledger.dir(), limit)?))
            }
            (None, _) => None,
        };
        Ok(Self {
            ledger: Arc::new(
                self.ledger.with(Arc::clone(&terms.keyring), terms.cookies.host.clone()),
            ),
            logouts: Arc::clone(&self.logouts),
            cookies: Arc::clone(&terms.cookies),
            keyring: Arc::clone(&terms.keyring),
            refresh_tokens: Arc::clone(&self.refresh_tokens),
            terms: Arc::new(terms),
            in_force: Arc::clone(&self.in_force),
            lifetime: Arc::clone(&self.lifetime),
            idle,
            table: Arc::clone(&self.table),
            leases: Arc::clone(&self.leases),
            wake: Arc::clone(&self.wake),
            tasks: self.tasks.clone(),
            tally: Arc::clone(&self.tally),
        })
    }

    /// Puts the terms and the lifetime of this configuration in force, for the sessions that exist and
    /// for the logins and refreshes that are under way. A session that may not be in force under them
    /// ends.
    pub(crate) fn take_over(&self, lifetime: Duration) {
        self.lifetime.store(clock::millis(lifetime), Ordering::Relaxed);
        // Locked until all sessions are changed: what comes into force meanwhile obeys the new terms.
        let mut table = self.table.lock();
        self.in_force.store(Arc::clone(&self.terms));
        let mut over = Vec::new();
        for session in table.sessions() {
            let ends = self.expiry(session.signed_in, session.until);
            session.set_limits(ends, &self.terms.signer);
            match self.terms.apply((**session.grant()).clone()) {
                Ok(grant) => drop(session.replace(grant)),
                Err(reason) => over.push((Arc::clone(session), reason)),
            }
        }
        table.forget_cookies_unless(|cookie| self.terms.open(cookie));
        drop(table);
        for (session, reason) in over {
            self.end_now(&session, reason);
        }
        self.wake.notify_one();
    }

    /// The terms in force.
    pub(crate) fn terms_in_force(&self) -> arc_swap::Guard<Arc<Terms>> {
        self.in_force.load()
    }

    /// Writes the names of the session cookie for the next start.
    pub(crate) fn keep_cookie_names(&self) {
        let (path, text) = (self.ledger.dir().join(COOKIE_NAMES), self.cookies.names().text());
        let is_kept = state_files::read(&path).is_ok_and(|kept| kept == text.as_bytes());
        if !is_kept && let Err(error) = state_files::replace(&path, text.as_bytes()) {
            tracing::warn!(%error, "the names of the session cookie cannot be kept in state_dir");
        }
    }

    /// Number of sessions in force.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().sessions().count()
    }

    /// Number of people with a request since this moment.
    pub(crate) fn people_since(&self, since: Millis) -> usize {
        let table = self.table.lock();
        let active = table.sessions().filter(|session| session.activity().requested >= since);
        active.map(|session| &session.subject).collect::<HashSet<_>>().len()
    }

    /// The absolute limit of a session: `signed_in` and `until` as in its ticket.
    pub(super) fn expiry(&self, signed_in: u64, until: u64) -> Millis {
        (signed_in * 1000)
            .saturating_add(self.lifetime.load(Ordering::Relaxed))
            .min(until.saturating_mul(1000))
    }

    /// When a session of a login at `signed_in` ends at the latest; both in seconds since 1970.
    pub(crate) fn until(&self, signed_in: u64) -> u64 {
        self.expiry(signed_in, u64::MAX) / 1000
    }

    /// How long the end of a session must be remembered, seconds since 1970.
    pub(super) fn remembered_until(&self, signed_in: u64, until: u64) -> u64 {
        if until == u64::MAX { self.until(signed_in) + 1 } else { until + 1 }
    }

    /// The limit that the session has reached, if any.
    pub(super) fn limit_reached(&self, session: &Session, now: Millis) -> Option<EndReason> {
        if now >= session.ends() {
            Some(EndReason::Expired)
        } else if self.idle.as_ref().is_some_and(|idle| now >= idle.ends_of(session.activity())) {
            Some(EndReason::Idle)
        } else {
            None
        }
    }

    /// Seals the cookie of `ticket` and makes a grant with it. `kept`: the ledger keeps the
    /// ticket's proof. Also returns whether the cookie contains the proof, which may be too large
    /// for it.
    pub(crate) fn grant(
        &self,
        person: Arc<Person>,
        tokens: Tokens,
        ticket: &Ticket,
        kept: bool,
    ) -> (Grant, bool) {
        let terms = self.terms_in_force();
        let (text, whole) = ticket.seal(&terms.keyring, &terms.cookies);
        let left = self.expiry(ticket.signed_in, ticket.until).saturating_sub(clock::now());
        let age = Duration::from_millis(left);
        let header = terms.cookies.set(&terms.cookies.session, &text, age);
        let in_ledger = AtomicBool::new(kept && whole);
        let cookie = Arc::new(SealedCookie { text, header, in_ledger });
        (Grant { person, tokens, cookie }, whole)
    }

    /// Adds a session after a login or a restore, under the terms in force. If the person has too many
    /// sessions, the oldest one ends. If a session with this id exists, it stays and is returned.
    pub(super) fn insert(
        &self,
        ticket: &Ticket,
        grant: Grant,
        arrival: Arrival,
    ) -> Result<Arc<Session>, Barred> {
        let Arrival { began, device } = arrival;
        let mut table = self.table.lock();
        let user = &grant.person.user;
        if self.has_ended(ticket, began) || self.has_user_ended(user, ticket.id, began) {
            return Err(Barred::HasEnded);
        }
        if let Some(known) = table.by_id(ticket.id) {
            return Ok(known);
        }
        let terms = self.terms_in_force();
        let grant = terms.apply(grant).map_err(Barred::By)?;
        let ends = self.expiry(ticket.signed_in, ticket.until);
        let cookie = grant.cookie.clone();
        let assertions = Assertions::new(terms.signer.clone());
        let session = Session::new(ticket, ends, grant, assertions, device, self.wake.clone());
        let session = Arc::new(session);
        let surplus = table.insert(&session, cookie);
        drop(table);
        if let Some(surplus) = surplus {
            self.end_now(&surplus, EndReason::Surplus);
        }
        self.wake.notify_one();
        Ok(session)
    }

    /// Gives a session the result of a refresh, under the terms in force.
    pub(super) fn replace_grant(&self, session: &Arc<Session>, grant: Grant) -> Result<(), Barred> {
        let mut table = self.table.lock();
        let grant = self.terms_in_force().apply(grant).map_err(Barred::By)?;
        let cookie = grant.cookie.clone();
        if !session.renew(grant) {
            return Err(Barred::HasEnded);
        }
        table.add_cookie(session, cookie);
        Ok(())
    }
}
