//! How many client connections may be open, and which one is closed when there are too many.
//!
//! Over a limit the connections that have been idle for longest are closed to admit the new one. A
//! connection is idle until the head of a request has arrived: a few bytes of a head cost a stranger nothing,
//! and must not keep others out. A request in flight and a tunnel are never closed. If too few connections
//! are idle, the new one is refused.
//!
//! Requests of HTTP/2 that run at the same time take descriptors, and so reduce the number of places below
//! what is open. Idle connections are closed for these requests too.
//!
//! The apps get about half of the places, and never more than three quarters: an app that asks itself
//! without end would else keep all people out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::config::{AppName, client_network};
use crate::proxy::socket::descriptors::{Descriptors, Held, Network, PER_CLIENT};

/// How long a connection may take to close after it was chosen. Its worker thread may be busy. Afterwards
/// another one is chosen in its place.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);
/// How often others are chosen, because those that were chosen do not close in time.
const ATTEMPTS: usize = 4;
/// The least time between two looks at all connections for the same new one. Many may be closing.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// Most connections that are answered with 503 at the same time. Others are closed at once.
const MAX_REFUSALS: usize = 32;
/// Pause between two log lines about refused connections.
const WARN_PAUSE: Duration = Duration::from_secs(10);

/// [`Shared::idle_since`] of a connection with a request or a tunnel.
const BUSY: u64 = 0;
/// The bit of [`Shared::idle_since`] that marks an idle connection which was chosen to be closed: the rest says
/// since when.
const CHOSEN: u64 = 1 << 63;

/// What the limit of open files leaves for clients.
#[derive(Debug, Clone, Copy)]
pub struct MaxConnections {
    /// How many client connections may be open.
    pub clients: usize,
    /// The descriptors for client connections and all that they cause, idle connections to apps included.
    pub descriptors: usize,
}

/// The limits of `max_connections` and `max_connections_per_ip`, and all open connections.
#[derive(Debug)]
pub(crate) struct Capacity {
    started: Instant,
    open: Mutex<Open>,
    /// A connection was closed, or a chosen one has received a request.
    changed: Notify,
    refusals: AtomicUsize,
    warned: Mutex<Option<Instant>>,
    descriptors: Arc<Descriptors>,
}

#[derive(Debug, Default)]
struct Open {
    limit: usize,
    limit_per_client: Option<usize>,
    last_number: u64,
    connections: HashMap<u64, Connection>,
    /// Connections of clients that are known to be apps: nobody has looked before half of the places were
    /// taken.
    of_apps: usize,
    /// Keys are networks of one client.
    per_client: HashMap<IpAddr, usize>,
}

/// An open connection.
#[derive(Debug)]
struct Connection {
    /// The network of the client; `None` on a unix socket, and before a proxy has named the client.
    client: Option<IpAddr>,
    /// The program that has opened the connection is known to be an app, whomever it names as the client.
    is_app: bool,
    shared: Arc<Shared>,
}

/// The part of a connection that the workers of other connections use.
#[derive(Debug)]
struct Shared {
    /// Nanoseconds since `Capacity::started`, with the mark [`CHOSEN`] or without; or [`BUSY`].
    idle_since: AtomicU64,
    waker: AtomicWaker,
}

/// The place of an open connection; it is free again when this is dropped.
#[derive(Debug)]
pub(in crate::proxy::client) struct Slot {
    number: u64,
    shared: Arc<Shared>,
    capacity: Arc<Capacity>,
    _held: Held,
}

/// A connection that is answered with 503, counted until this is dropped.
#[derive(Debug)]
pub(super) struct RefusalSlot(Arc<Capacity>);

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Admission {
    Admitted(Slot),
    /// Its request is answered with 503.
    Refused(RefusalSlot),
    /// It is closed at once.
    Dropped,
}

impl Capacity {
    /// Nothing is admitted before [`Self::set_limits`].
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            open: Mutex::default(),
            changed: Notify::new(),
            refusals: AtomicUsize::new(0),
            warned: Mutex::default(),
            descriptors: Descriptors::new(),
        })
    }

    /// The descriptors that client connections hold, and those of idle connections to apps.
    pub(crate) fn descriptors(&self) -> &Arc<Descriptors> {
        &self.descriptors
    }

    /// Limits new connections from now on. Open connections stay.
    pub(crate) fn set_limits(&self, max: MaxConnections, per_client: Option<usize>) {
        let MaxConnections { clients: limit, descriptors } = max;
        // No client may be kept waiting by other clients.
        self.descriptors.set_limit(descriptors.max(limit.saturating_mul(PER_CLIENT)), limit);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.limit = limit;
        open.limit_per_client = per_client;
    }

    /// Finds a place for a new connection. Behind a trusted proxy, `address` is the proxy's. `app` says
    /// whether the client is an app; it asks the kernel, and is called only if many places are taken.
    pub(super) async fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        app: impl FnOnce() -> Option<AppName>,
    ) -> Admission {
        let app = if self.is_half_full() { app() } else { None };
        let is_app = app.is_some();
        if is_app && self.is_closed_to_apps() {
            return self.refuse(address, app);
        }
        let client = address.map(client_network);
        match self.make_room(|| self.try_admit(client, is_app)).await {
            Some(slot) => {
                self.descriptors.room().await;
                Admission::Admitted(slot)
            }
            None => self.refuse(address, None),
        }
    }

    /// Counts a connection for the client that a proxy has named. The connection keeps its place, and stays
    /// one of an app if an app has opened it: an app can name any client. An error if the client has too
    /// many connections.
    pub(super) async fn name(
        self: &Arc<Self>,
        slot: &Slot,
        address: Option<IpAddr>,
    ) -> Result<(), Admission> {
        let client = address.map(client_network);
        let named = self.make_room(|| self.try_name(slot, client)).await;
        named.ok_or_else(|| self.refuse(address, None))
    }

    /// Counts a further request of a connection of HTTP/2 that has `others` already, and waits for the room:
    /// idle connections of clients and to apps are closed for it. `None` if there are too many requests.
    pub(super) async fn hold_request(&self, others: usize, client: Network) -> Option<Held> {
        let held = self.descriptors.try_hold_request(others, client)?;
        if self.descriptors.is_short() {
            self.close_surplus();
            self.descriptors.room().await;
        }
        Some(held)
    }

    /// Has idle connections closed until there are no more than places. Where too few are idle, the further
    /// requests have room all the same: their own limits say so.
    fn close_surplus(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let excess = open.connections.len().saturating_sub(self.places(&open));
        let _ = self.close_longest_idle(&open, excess, |_| true);
    }

    /// Tries until the connections that were chosen to be closed have made room. `None` if too few are idle.
    async fn make_room<T>(&self, attempt: impl Fn() -> Result<T, NotAdmitted>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let deadline = Instant::now() + CLOSE_TIMEOUT;
            for look in 0_usize.. {
                if look > 1 {
                    sleep(LOOK_PAUSE).await;
                }
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                match attempt() {
                    Ok(admitted) => return Some(admitted),
                    Err(NotAdmitted::SomeAreClosing) => {}
                    Err(NotAdmitted::TooFewAreIdle) => return None,
                }
                if timeout_at(deadline, changed).await.is_err() {
                    break;
                }
            }
        }
        None
    }

    /// How many connections may be open now.
    fn places(&self, open: &Open) -> usize {
        open.limit.min(self.descriptors.most_clients())
    }

    fn is_half_full(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_half(&open, open.connections.len())
    }

    fn is_half(&self, open: &Open, count: usize) -> bool {
        count * 2 >= self.places(open)
    }

    /// Whether a half of the places is not free for an app. Idle connections make room for it, as for
    /// every client; but it may use all of its own idle connections at once later.
    fn is_closed_to_apps(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_busy = |one: &&Connection| one.shared.idle_since.load(Ordering::Relaxed) == BUSY;
        self.is_half(&open, open.connections.values().filter(is_busy).count())
            || self.is_half(&open, open.of_apps * 2)
    }

    fn try_admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        is_app: bool,
    ) -> Result<Slot, NotAdmitted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_room_for(&open, client)?;
        let excess = (open.connections.len() + 1).saturating_sub(self.places(&open));
        if excess > 0 {
            return Err(self.close_longest_idle(&open, excess, |_| true));
        }
        open.count(client);
        open.of_apps += usize::from(is_app);
        open.last_number += 1;
        let (number, idle_since) = (open.last_number, AtomicU64::new(self.now()));
        let shared = Arc::new(Shared { idle_since, waker: AtomicWaker::new() });
        open.connections.insert(number, Connection { client, is_app, shared: shared.clone() });
        let held = self.descriptors.hold_client();
        Ok(Slot { number, shared, capacity: Arc::clone(self), _held: held })
    }

    fn try_name(&self, slot: &Slot, client: Option<IpAddr>) -> Result<(), NotAdmitted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_room_for(&open, client)?;
        open.count(client);
        let own = open.connections.get_mut(&slot.number);
        let before = own.and_then(|own| std::mem::replace(&mut own.client, client));
        open.discount(before);
        Ok(())
    }

    /// Whether a client may have one more connection.
    fn has_room_for(&self, open: &Open, client: Option<IpAddr>) -> Result<(), NotAdmitted> {
        let Some((limit, ip)) = open.limit_per_client.zip(client) else { return Ok(()) };
        let own = open.per_client.get(&ip).copied().unwrap_or(0);
        let excess = (own + 1).saturating_sub(limit);
        if excess == 0 {
            return Ok(());
        }
        Err(self.close_longest_idle(open, excess, |one| one.client == client))
    }

    /// Has as many idle connections closed among the `eligible` ones that `excess` are closing. One that was
    /// chosen and has not closed in time counts no more.
    fn close_longest_idle(
        &self,
        open: &Open,
        excess: usize,
        eligible: impl Fn(&Connection) -> bool,
    ) -> NotAdmitted {
        let now = self.now();
        let in_time = |chosen: u64| now.saturating_sub(chosen) < nanoseconds(CLOSE_TIMEOUT);
        let mut closing = 0;
        let mut idle = Vec::new();
        for one in open.connections.values().filter(|one| eligible(one)) {
            match one.shared.idle_since.load(Ordering::Relaxed) {
                BUSY => {}
                chosen if chosen & CHOSEN != 0 => closing += usize::from(in_time(chosen & !CHOSEN)),
                since => idle.push((since, &one.shared)),
            }
        }
        let wanted = excess.saturating_sub(closing);
        let chosen = wanted.min(idle.len());
        if (1..idle.len()).contains(&chosen) {
            idle.select_nth_unstable_by_key(chosen - 1, |(since, _)| *since);
        }
        for (since, shared) in &idle[..chosen] {
            self.choose(shared, *since, now);
        }
        if chosen < wanted { NotAdmitted::TooFewAreIdle } else { NotAdmitted::SomeAreClosing }
    }

    /// Tells a connection that it has to close.
    fn choose(&self, shared: &Shared, since: u64, now: u64) {
        let (order, state) = (Ordering::AcqRel, &shared.idle_since);
        if state.compare_exchange(since, now | CHOSEN, order, Ordering::Relaxed).is_ok() {
            shared.waker.wake();
        } else {
            // A request has just arrived on it: the caller looks again.
            self.changed.notify_waiters();
        }
    }

    fn refuse(self: &Arc<Self>, address: Option<IpAddr>, app: Option<AppName>) -> Admission {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARN_PAUSE) {
            *warned = Some(Instant::now());
            let client_ip = address.map(tracing::field::display);
            let limit = self.open.lock().unwrap_or_else(PoisonError::into_inner).limit;
            match app {
                Some(app) => warn!(
                    %app, max_connections = limit,
                    "too many connections, refusing new ones of an app: the others are for people"
                ),
                None => {
                    warn!(
                        client_ip,
                        max_connections = limit,
                        "too many connections, refusing new ones"
                    );
                }
            }
        }
        let reserved = self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < MAX_REFUSALS).then_some(count + 1)
        });
        match reserved {
            Ok(_) => Admission::Refused(RefusalSlot(Arc::clone(self))),
            Err(_) => Admission::Dropped,
        }
    }

    /// Never [`BUSY`].
    fn now(&self) -> u64 {
        nanoseconds(self.started.elapsed()).max(1)
    }
}

/// Less than [`CHOSEN`], which are 292 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) & !CHOSEN
}

/// Why a new connection has no place yet.
enum NotAdmitted {
    SomeAreClosing,
    TooFewAreIdle,
}

impl Open {
    fn count(&mut self, client: Option<IpAddr>) {
        if let Some(ip) = client {
            *self.per_client.entry(ip).or_default() += 1;
        }
    }

    fn discount(&mut self, client: Option<IpAddr>) {
        if let Some(ip) = client
            && let Some(count) = self.per_client.get_mut(&ip)
        {
            *count -= 1;
            if *count == 0 {
                self.per_client.remove(&ip);
            }
        }
    }
}

impl Slot {
    /// A request has arrived, or a tunnel takes over.
    pub(super) fn set_busy(&self) {
        self.set(BUSY);
    }

    /// The connection waits for the next request, or its client has just begun to send one. A head that has
    /// begun makes the connection the last of the idle ones to be closed, once: a client that sends the rest
    /// byte by byte does not stay the last.
    pub(super) fn set_idle(&self) {
        self.set(self.capacity.now());
    }

    fn set(&self, state: u64) {
        if self.shared.idle_since.swap(state, Ordering::AcqRel) & CHOSEN != 0 {
            self.capacity.changed.notify_waiters();
        }
    }

    /// Whether the idle connection has to close; wakes the task when that changes.
    pub(super) fn must_close(&self, cx: &Context<'_>) -> bool {
        self.shared.waker.register(cx.waker());
        self.shared.idle_since.load(Ordering::Acquire) & CHOSEN != 0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.capacity.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Connection { client, is_app, .. }) = open.connections.remove(&self.number) {
            open.of_apps -= usize::from(is_app);
            open.discount(client);
        }
        drop(open);
        self.capacity.changed.notify_waiters();
    }
}

impl Drop for RefusalSlot {
    fn drop(&mut self) {
        self.0.refusals.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "../../../tests/unit/proxy/client/capacity.rs"]
mod tests;
