//! How many client connections may be open, and which one is closed when there are too many.
//!
//! Over a limit the connection that has been idle for longest is closed to admit the new one. A
//! connection is idle while no byte of a request has arrived; a request in flight and a tunnel are
//! never closed. If no connection is idle, the new one is refused.
//!
//! The apps get about half of the places, and never more than three quarters: an app that asks itself
//! without end would else keep all people out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use crate::config::{AppName, client_network};
use crate::proxy::socket::descriptors::{Descriptors, Held, PER_CLIENT};

/// How long a connection may take to close after it was chosen. Its worker thread may be busy.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);
/// How many connections are chosen for a new one: a request may arrive on a chosen connection.
const ATTEMPTS: u32 = 4;
/// Most connections that are answered with 503 at the same time. Others are closed at once.
const MAX_REFUSALS: usize = 32;
/// Pause between two log lines about refused connections.
const WARN_PAUSE: Duration = Duration::from_secs(10);

/// [`Shared::idle_since`] of a connection with a request or a tunnel.
const BUSY: u64 = 0;
/// [`Shared::idle_since`] of an idle connection that was chosen to be closed.
const CHOSEN: u64 = u64::MAX;

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
    /// Nanoseconds since `Capacity::started`, or [`BUSY`], or [`CHOSEN`].
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

    /// Tries until the connections that were chosen to be closed have made room. `None` if none is idle.
    async fn make_room<T>(&self, attempt: impl Fn() -> Result<T, NotAdmitted>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match attempt() {
                Ok(admitted) => return Some(admitted),
                Err(NotAdmitted::OneIsClosing) => {}
                Err(NotAdmitted::NoneIsIdle) => return None,
            }
            let _ = timeout(CLOSE_TIMEOUT, changed).await;
        }
        None
    }

    fn is_half_full(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_half(&open, open.connections.len())
    }

    fn is_half(&self, open: &Open, count: usize) -> bool {
        count * 2 >= open.limit.min(self.descriptors.most_clients())
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
        open.has_room_for(client)?;
        if open.connections.len() >= open.limit.min(self.descriptors.most_clients()) {
            return Err(open.close_longest_idle(|_| true));
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
        open.has_room_for(client)?;
        open.count(client);
        let own = open.connections.get_mut(&slot.number);
        let before = own.and_then(|own| std::mem::replace(&mut own.client, client));
        open.discount(before);
        Ok(())
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
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(CHOSEN - 1).max(1)
    }
}

/// Why a new connection has no place yet.
enum NotAdmitted {
    OneIsClosing,
    NoneIsIdle,
}

impl Open {
    /// Whether a client may have one more connection.
    fn has_room_for(&self, client: Option<IpAddr>) -> Result<(), NotAdmitted> {
        let counted = self.limit_per_client.zip(client);
        let own = |ip| self.per_client.get(&ip).copied().unwrap_or(0);
        if counted.is_some_and(|(limit, ip)| own(ip) >= limit) {
            return Err(self.close_longest_idle(|one| one.client == client));
        }
        Ok(())
    }

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

    fn close_longest_idle(&self, eligible: impl Fn(&Connection) -> bool) -> NotAdmitted {
        let idle = self.connections.values().filter_map(|one| {
            let since = one.shared.idle_since.load(Ordering::Relaxed);
            (since != BUSY && since != CHOSEN && eligible(one)).then_some((since, &one.shared))
        });
        let Some((since, shared)) = idle.min_by_key(|(since, _)| *since) else {
            return NotAdmitted::NoneIsIdle;
        };
        // If a request has just arrived on it, the caller tries another one.
        let order = Ordering::AcqRel;
        if shared.idle_since.compare_exchange(since, CHOSEN, order, Ordering::Relaxed).is_ok() {
            shared.waker.wake();
        }
        NotAdmitted::OneIsClosing
    }
}

impl Slot {
    /// A request has begun to arrive, or a tunnel takes over.
    pub(super) fn set_busy(&self) {
        if self.shared.idle_since.swap(BUSY, Ordering::AcqRel) == CHOSEN {
            self.capacity.changed.notify_waiters();
        }
    }

    /// The connection waits for the next request.
    pub(super) fn set_idle(&self) {
        self.shared.idle_since.store(self.capacity.now(), Ordering::Release);
    }

    /// Whether the idle connection has to close; wakes the task when that changes.
    pub(super) fn must_close(&self, cx: &Context<'_>) -> bool {
        self.shared.waker.register(cx.waker());
        self.shared.idle_since.load(Ordering::Acquire) == CHOSEN
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
