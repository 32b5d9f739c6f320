//! All sessions that are in force, and the cookies that stand for them.
//!
//! A request with a cookie that we know costs one look-up: the sealed text itself is the key, no
//! cipher is asked. Only a text that is new to us is opened.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::sync::Notify;
use tracing::info;

use crate::auth::Person;
use crate::auth::cookie::cookies::{self as cookie, Cookies};
use crate::auth::cookie::seal::Keyring;
use crate::auth::person::assertion::{Assertions, Signer};
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::mutex::Guarded;
use crate::auth::runtime::tasks::Tasks;
use crate::auth::session::live::{Grant, SealedCookie, Session, Tokens};
use crate::auth::session::store::idle::Idle;
use crate::auth::session::store::ledger::Ledger;
use crate::auth::session::ticket::{Proof, SessionId, Ticket};

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) cookies: Cookies,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) ledger: Arc<Ledger>,
    signer: Arc<Signer>,
    lifetime: Millis,
    idle: Option<Arc<Idle>>,
    table: Guarded<Table>,
    wake: Arc<Notify>,
    tasks: Tasks,
}

#[derive(Debug, Default)]
struct Table {
    by_cookie: HashMap<Tail, (Arc<SealedCookie>, Arc<Session>)>,
    by_id: HashMap<SessionId, Known>,
}

#[derive(Debug)]
struct Known {
    session: Arc<Session>,
    /// Where in `by_cookie` it is: the newest cookie, and the one before it.
    cookies: [Option<Tail>; 2],
}

/// The end of a sealed text: the cipher's tag, which is as good as a hash of the whole.
type Tail = [u8; 22];

/// What a request's cookies stand for.
#[derive(Debug)]
pub(crate) enum Found {
    /// A session in force; the cookie, when the browser has an older one.
    Live(Arc<Session>, Option<HeaderValue>),
    /// A session that we do not know but have sealed: it may be brought back.
    Sealed(Ticket),
    /// Nobody; whether there was a cookie of ours.
    Nobody { dead: bool },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    SignedOut,
    /// Its absolute limit.
    Expired,
    /// Nobody used it.
    Idle,
    /// The issuer has ended it.
    Revoked,
    /// Another login in the same browser took its place.
    Replaced,
    /// The issuer's answer was not to be believed.
    Untrusted,
    /// The e-mail address is another one now, which is not verified.
    Unverified,
}

/// What is to be done next, without anybody asking.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// Sessions with open tunnels whose token runs out.
    pub(crate) due: Vec<Arc<Session>>,
    /// It is time to note when sessions were last used.
    pub(crate) note: bool,
    /// When to look again.
    pub(crate) next: Option<Millis>,
}

impl Sessions {
    pub(crate) fn new(
        cookies: Cookies,
        keyring: Arc<Keyring>,
        ledger: Ledger,
        signer: Arc<Signer>,
        limits: &crate::config::Session,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let idle = limits.idle.map(|limit| Idle::open(ledger.dir(), limit)).transpose()?;
        Ok(Self {
            cookies,
            keyring,
            ledger: Arc::new(ledger),
            signer,
            lifetime: clock::millis(limits.lifetime),
            idle: idle.map(Arc::new),
            table: Guarded::default(),
            wake: Arc::new(Notify::new()),
            tasks,
        })
    }

    /// Whose request it is. With more than one session in it, it is nobody's: one of them was
    /// planted.
    pub(crate) fn find(&self, headers: &HeaderMap, now: Millis) -> Found {
        let mut found = Found::Nobody { dead: false };
        for another in self.find_all(headers, now) {
            found = match (found, another) {
                (Found::Nobody { .. }, other) => other,
                (first, Found::Nobody { .. }) => first,
                (first, second) if first.id() == second.id() => first,
                _ => return Found::Nobody { dead: true },
            };
        }
        found
    }

    /// What each cookie of ours stands for. All of them, which a request's size bounds: whoever
    /// plants enough copies of his own would hide the victim's behind them.
    pub(crate) fn find_all<'a>(
        &'a self,
        headers: &'a HeaderMap,
        now: Millis,
    ) -> impl Iterator<Item = Found> + 'a {
        let texts = cookie::named(headers, &self.cookies.session);
        texts.map(move |text| self.look_up(text, now))
    }

    fn look_up(&self, text: &[u8], now: Millis) -> Found {
        if let Some(found) = self.by_cookie(text) {
            return self.still_live(found.1, Some(&found.0), now);
        }
        let dead = Found::Nobody { dead: true };
        let Some(ticket) = Ticket::open(text, &self.keyring, &self.cookies) else { return dead };
        if now >= self.ends(ticket.signed_in) || self.ledger.has_ended(ticket.id) {
            return dead;
        }
        let known = self.table.lock().by_id.get(&ticket.id).map(|known| known.session.clone());
        match known {
            Some(session) => self.still_live(session, None, now),
            None if self.idle.as_ref().is_some_and(|idle| idle.slept_through(&ticket, now)) => {
                self.end_ticket(&ticket, End::Idle);
                dead
            }
            None => Found::Sealed(ticket),
        }
    }

    fn by_cookie(&self, text: &[u8]) -> Option<(Arc<SealedCookie>, Arc<Session>)> {
        let tail = tail(text)?;
        let table = self.table.lock();
        let (cookie, session) = table.by_cookie.get(&tail)?;
        (cookie.text.as_bytes() == text).then(|| (cookie.clone(), session.clone()))
    }

    fn still_live(
        &self,
        session: Arc<Session>,
        shown: Option<&Arc<SealedCookie>>,
        now: Millis,
    ) -> Found {
        if let Some(why) = self.overdue(&session, now) {
            self.end(&session, why);
        }
        if session.is_over() {
            return Found::Nobody { dead: true };
        }
        let grant = session.grant();
        let current = &grant.cookie;
        if shown.is_some_and(|shown| Arc::ptr_eq(shown, current)) {
            self.taken(session.id, current);
            drop(grant);
            return Found::Live(session, None);
        }
        let header = current.header.clone();
        drop(grant);
        Found::Live(session, Some(header))
    }

    /// The browser has shown the newest cookie: the ledger need not keep what is in it.
    fn taken(&self, id: SessionId, cookie: &SealedCookie) {
        if cookie.in_ledger.load(Ordering::Relaxed)
            && cookie.in_ledger.swap(false, Ordering::Relaxed)
        {
            let ledger = self.ledger.clone();
            self.tasks.block(move || ledger.forget(id));
        }
    }

    fn overdue(&self, session: &Session, now: Millis) -> Option<End> {
        if now >= session.ends {
            Some(End::Expired)
        } else if self.idle.as_ref().is_some_and(|idle| now >= idle.ends(session.last_used())) {
            Some(End::Idle)
        } else {
            None
        }
    }

    /// The absolute limit of a login at that second.
    fn ends(&self, signed_in: u64) -> Millis {
        (signed_in * 1000).saturating_add(self.lifetime)
    }

    /// Seals a grant's cookie, whose proof may be `kept` in the ledger. Returned beside it: whether
    /// the cookie holds the proof, too, which may be too large for one.
    pub(crate) fn grant(
        &self,
        person: Arc<Person>,
        tokens: Tokens,
        ticket: &Ticket,
        kept: bool,
    ) -> (Grant, bool) {
        let (text, whole) = ticket.seal(&self.keyring, &self.cookies);
        let left = self.ends(ticket.signed_in).saturating_sub(clock::now());
        let age = Duration::from_millis(left);
        let header = self.cookies.set(&self.cookies.session, &text, age);
        let in_ledger = AtomicBool::new(kept && whole);
        let cookie = Arc::new(SealedCookie { text, header, in_ledger });
        (Grant { person, tokens, cookie }, whole)
    }

    /// A login, or one brought back. A session that is there already wins; `None` when it was
    /// ended while it was brought back.
    pub(crate) fn insert(
        &self,
        ticket: &Ticket,
        sid: Option<String>,
        grant: Grant,
    ) -> Option<Arc<Session>> {
        let mut table = self.table.lock();
        if self.ledger.has_ended(ticket.id) {
            return None;
        }
        if let Some(known) = table.by_id.get(&ticket.id) {
            return Some(known.session.clone());
        }
        let ends = self.ends(ticket.signed_in);
        let cookie = grant.cookie.clone();
        let assertions = Assertions::new(self.signer.clone());
        let session = Session::new(ticket, sid, ends, grant, assertions, self.wake.clone());
        let session = Arc::new(session);
        table.by_id.insert(ticket.id, Known { session: session.clone(), cookies: [None; 2] });
        table.admit(cookie, &session);
        drop(table);
        self.wake.notify_one();
        Some(session)
    }

    /// Takes what a refresh brought; `false` when the session has ended meanwhile.
    pub(crate) fn renew(&self, session: &Arc<Session>, grant: Grant) -> bool {
        let cookie = grant.cookie.clone();
        let mut table = self.table.lock();
        let live = session.renew(grant);
        if live {
            table.admit(cookie, session);
        }
        live
    }

    /// Ends a session at once, for its tunnels, too.
    pub(crate) fn end(&self, session: &Arc<Session>, why: End) {
        let until = session.ends / 1000 + 1;
        let mut table = self.table.lock();
        if !session.end() {
            return;
        }
        // Noted before it leaves the table: nobody may find it nowhere and bring it back.
        self.ledger.end(session.id, until);
        table.dismiss(session.id);
        drop(table);
        if why == End::Expired {
            self.ledger.forget(session.id);
        } else {
            self.ledger.record(session.id, until);
        }
        let user = &session.grant().person.user;
        if why == End::SignedOut {
            info!(user, "signed out");
        } else {
            info!(user, reason = why.text(), "session ended");
        }
    }

    /// Ends a session that is known by its ticket only.
    pub(crate) fn end_ticket(&self, ticket: &Ticket, why: End) {
        let until = self.ends(ticket.signed_in) / 1000 + 1;
        let table = self.table.lock();
        self.ledger.end(ticket.id, until);
        let known = table.by_id.get(&ticket.id).map(|known| known.session.clone());
        drop(table);
        self.ledger.record(ticket.id, until);
        if let Some(session) = known {
            self.end(&session, why);
        } else {
            info!(reason = why.text(), "session ended");
        }
    }

    /// Sessions that hang on the same session of the issuer.
    pub(crate) fn siblings(&self, session: &Session) -> Vec<Arc<Session>> {
        let Some(sid) = &session.sid else { return Vec::new() };
        let subject = &session.grant().person.subject;
        let table = self.table.lock();
        let others = table.by_id.values().map(|known| &known.session).filter(|other| {
            other.id != session.id
                && other.sid.as_ref() == Some(sid)
                && other.grant().person.subject == *subject
        });
        others.cloned().collect()
    }

    /// Ends what is over; says what is due and when to look again.
    pub(crate) fn review(&self, now: Millis) -> Agenda {
        let all: Vec<_> =
            self.table.lock().by_id.values().map(|known| known.session.clone()).collect();
        let note = self.idle.as_ref().is_some_and(|idle| idle.next_note() <= now);
        let mut agenda = Agenda { note, ..Agenda::default() };
        for session in all {
            if let Some(why) = self.overdue(&session, now) {
                self.end(&session, why);
                continue;
            }
            agenda.look_again(session.ends);
            if let Some(idle) = &self.idle {
                agenda.look_again(idle.ends(session.last_used()).min(idle.next_note()));
            }
            if let Some(due) = session.due().filter(|_| session.has_tunnels()) {
                if due <= now {
                    agenda.due.push(session);
                } else {
                    agenda.look_again(due);
                }
            }
        }
        agenda
    }

    /// Notes when sessions were last used, where that counts after a restart.
    pub(crate) fn note_uses(&self, now: Millis) {
        let Some(idle) = self.idle.clone() else { return };
        let used: Vec<_> = (self.table.lock().by_id.iter())
            .map(|(id, known)| (*id, known.session.last_used()))
            .collect();
        self.tasks.block(move || idle.note(&used, now));
    }

    /// A session came, or became due earlier than it was.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }
}

impl Table {
    /// Of a session's older cookies the last is remembered as well, for requests that are on
    /// their way; still older ones are opened when they come.
    fn admit(&mut self, cookie: Arc<SealedCookie>, session: &Arc<Session>) {
        let Some(tail) = tail(cookie.text.as_bytes()) else { return };
        let Some(known) = self.by_id.get_mut(&session.id) else { return };
        if known.cookies[0] == Some(tail) {
            return;
        }
        let [newest, oldest] = known.cookies;
        known.cookies = [Some(tail), newest];
        if let Some(oldest) = oldest {
            self.by_cookie.remove(&oldest);
        }
        self.by_cookie.insert(tail, (cookie, session.clone()));
    }

    fn dismiss(&mut self, id: SessionId) {
        for tail in self.by_id.remove(&id).into_iter().flat_map(|known| known.cookies).flatten() {
            self.by_cookie.remove(&tail);
        }
    }
}

fn tail(text: &[u8]) -> Option<Tail> {
    text.last_chunk().copied()
}

impl Found {
    fn id(&self) -> Option<SessionId> {
        match self {
            Self::Live(session, _) => Some(session.id),
            Self::Sealed(ticket) => Some(ticket.id),
            Self::Nobody { .. } => None,
        }
    }
}

impl Agenda {
    fn look_again(&mut self, at: Millis) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl End {
    fn text(self) -> &'static str {
        match self {
            Self::SignedOut => "signed out",
            Self::Expired => "its lifetime is over",
            Self::Idle => "nobody used it",
            Self::Revoked => "the issuer has ended it",
            Self::Replaced => "another login took its place",
            Self::Untrusted => "the issuer's answer cannot be trusted",
            Self::Unverified => "its e-mail address is not verified any more",
        }
    }
}

/// The proof for the next cookie.
pub(crate) fn proof(tokens: &Tokens, person: &Person) -> Proof {
    match &tokens.refresh {
        Some(token) => Proof::Refresh(token.secret().clone()),
        None => Proof::Identity(person.claims.to_string()),
    }
}

impl std::fmt::Debug for SealedCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedCookie").finish_non_exhaustive()
    }
}
