//! Binds a response body to the right of its request for as long as the body lasts.
//!
//! A short response pays for one check per piece. A body that pauses for [`SHORT`], or that is long,
//! is watched by a task of its own: the session is then refreshed without a request, and the
//! body ends as soon as the right is lost, also while the app is silent and while the client reads
//! nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::app_connection::AppConnection;
use crate::proxy::phases::access::right::{Loss, Right};
use crate::proxy::socket::exchange::Exchange;

/// How long a body may last without being watched.
const SHORT: Duration = Duration::from_secs(1);
/// The number of pieces, and of bytes, after which a body is watched although it has not paused. A
/// client that reads slowly, or not at all, keeps hyper from polling the body, so the body itself
/// cannot look at the clock.
const MANY_PIECES: u8 = 16;
const MANY_BYTES: usize = 512 * 1024;
/// Of a response on HTTP/2, the client is sent as many bytes at once.
const SENT_AT_ONCE: usize = 16 * 1024;

/// The bond of one response body.
#[derive(Debug)]
pub(crate) struct Bond {
    right: Right,
    /// The body is an event stream: its client connects again by itself, so the stream also ends when
    /// the app knows an outdated identity.
    events: bool,
    state: Rc<Exchange>,
    pieces: u8,
    bytes: usize,
    /// The timer of the app's connection is set.
    timer_is_set: bool,
    watch: Option<Watch>,
}

/// The task that watches the right.
#[derive(Debug)]
struct Watch {
    shared: Rc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    loss: Cell<Option<Loss>>,
    /// The task of the client's connection.
    waker: RefCell<Waker>,
}

impl Bond {
    pub(crate) fn new(right: Right, events: bool, state: Rc<Exchange>) -> Self {
        Self { right, events, state, pieces: 0, bytes: 0, timer_is_set: false, watch: None }
    }

    /// Whether the client's connection carries other responses at the same time.
    pub(crate) fn shares_connection(&self) -> bool {
        self.state.is_multiplexed
    }

    pub(super) fn is_of_events(&self) -> bool {
        self.events
    }

    /// A piece of the body has arrived, so many bytes. Why it may not be sent.
    pub(crate) fn check_piece(
        &mut self,
        bytes: usize,
        is_last: bool,
        cx: &Context<'_>,
    ) -> Option<Loss> {
        let lasts = self.watch.is_some();
        if let Some(loss) = self.loss().or_else(|| self.right.loss_while(lasts)) {
            return Some(loss);
        }
        if !lasts {
            self.pieces += 1;
            self.bytes += bytes;
            let is_long = self.pieces >= MANY_PIECES || self.bytes >= MANY_BYTES;
            // A client of HTTP/2 can stop reading after any part that it is sent at once.
            let is_all = is_last && bytes <= SENT_AT_ONCE;
            if is_long || self.state.is_multiplexed && !is_all {
                self.start_watch(SHORT, cx);
            }
        }
        None
    }

    /// The body pauses. Ready when the right is lost.
    pub(crate) fn poll_pause(
        &mut self,
        connection: Option<&mut AppConnection>,
        cx: &mut Context<'_>,
    ) -> Poll<Loss> {
        if self.watch.is_none()
            && let Some(connection) = connection
        {
            if !self.timer_is_set {
                self.timer_is_set = true;
                connection.set_deadline(SHORT);
            }
            if connection.poll_deadline(cx).is_ready() {
                self.start_watch(Duration::ZERO, cx);
            }
        }
        match (&self.watch, self.loss()) {
            (_, Some(loss)) => Poll::Ready(loss),
            (Some(watch), None) => {
                watch.shared.waker.borrow_mut().clone_from(cx.waker());
                Poll::Pending
            }
            (None, None) => Poll::Pending,
        }
    }

    /// Why the watched right was lost.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.watch.as_ref().and_then(|watch| watch.shared.loss.get())
    }

    /// Watches the right after a delay.
    fn start_watch(&mut self, delay: Duration, cx: &Context<'_>) {
        let waker = RefCell::new(cx.waker().clone());
        let shared = Rc::new(Shared { loss: Cell::new(None), waker });
        let right = self.right.clone();
        let (events, told, state) = (self.events, Rc::clone(&shared), Rc::clone(&self.state));
        let task = tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            told.loss.set(Some(right.watch().lost(events).await));
            // A client that reads nothing keeps hyper from polling the body; its socket sees this.
            state.revoked.set(true);
            told.waker.borrow().wake_by_ref();
        });
        self.watch = Some(Watch { shared, task: task.abort_handle() });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
