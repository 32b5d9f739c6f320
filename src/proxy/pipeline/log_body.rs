//! The log of an app as a response: server-sent events (HTML standard, section 9.2), one for each line.
//!
//! The body lasts until the right of its reader is lost or the appliance stops. It then ends as a whole
//! response, so that a browser asks again and learns why it gets no more.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::proxy::answer::compose;
use crate::proxy::own::console::log::OpenLog;
use crate::proxy::phases::access::right::Loss;
use crate::proxy::socket::exchange::Exchange;
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::upstream::download::PollFrame;

/// Bytes that are sent together.
const PIECE: usize = 16 * 1024;
/// A silent log says this often that it is still there: proxies close connections that are silent.
const BEAT: Duration = Duration::from_secs(15);
/// How long a reader has to take the end of the response when its right is lost.
const LAST_READ: Duration = Duration::from_secs(1);
/// nginx must not hold the lines back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The lines of a log on their way to a reader.
pub(super) struct LogBody {
    lines: BoxStream<'static, String>,
    beat: Interval,
    watch: Rc<Watch>,
    task: AbortHandle,
    over: bool,
    _place: OwnedSemaphorePermit,
}

/// What the task that watches the right tells the body.
#[derive(Debug, Default)]
struct Watch {
    end: Cell<Option<End>>,
    /// The task of the client's connection.
    waker: RefCell<Option<Waker>>,
}

/// Why a log ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Lost(Loss),
    Stop,
}

/// The head of the response.
pub(super) fn head() -> Response<Bytes> {
    let mut response = compose::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

impl LogBody {
    /// Begins to send a log, until `stop` changes at the latest.
    pub(super) fn new(
        log: OpenLog,
        mut stop: watch::Receiver<StopStage>,
        state: Rc<Exchange>,
    ) -> Self {
        let OpenLog { lines, right, place } = log;
        let watch = Rc::<Watch>::default();
        let told = Rc::clone(&watch);
        let task = tokio::task::spawn_local(async move {
            let end = tokio::select! {
                loss = right.lost() => End::Lost(loss),
                _ = stop.wait_for(|stage| *stage != StopStage::Running) => End::Stop,
            };
            told.end.set(Some(end));
            if let Some(waker) = told.waker.take() {
                waker.wake();
            }
            // A client that reads nothing keeps hyper from polling the body; its socket sees this.
            tokio::time::sleep(LAST_READ).await;
            state.revoked.set(true);
        });
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        Self { lines, beat, watch, task: task.abort_handle(), over: false, _place: place }
    }

    /// Whether the body has come to its end, other than by a loss of the right.
    pub(super) fn is_over(&self) -> bool {
        self.over && self.loss().is_none()
    }

    /// Why the body ended early, if its right was lost.
    pub(super) fn loss(&self) -> Option<Loss> {
        match self.watch.end.get() {
            Some(End::Lost(loss)) => Some(loss),
            Some(End::Stop) | None => None,
        }
    }

    /// The next lines.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PollFrame {
        self.watch.waker.replace(Some(cx.waker().clone()));
        self.over |= self.watch.end.get().is_some();
        if self.over {
            return Poll::Ready(None);
        }
        let mut piece = String::new();
        while piece.len() < PIECE {
            match self.lines.poll_next_unpin(cx) {
                Poll::Ready(Some(line)) => put(&mut piece, &line),
                Poll::Ready(None) => {
                    self.over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if piece.is_empty() && !self.over {
            if self.beat.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
            // A comment, which is no event.
            piece.push_str(":\n\n");
        } else {
            self.beat.reset();
        }
        if piece.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }
}

/// Appends an event. A line end would begin another field; in JSON it can only be a blank between two
/// tokens.
fn put(piece: &mut String, line: &str) {
    piece.push_str("data: ");
    piece.extend(line.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
    piece.push_str("\n\n");
}

impl Drop for LogBody {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for LogBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBody").field("watch", &self.watch.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_ends_its_event() {
        let mut piece = String::new();
        put(&mut piece, "{\"a\":\r\n\r1}");
        put(&mut piece, "{}");
        assert_eq!(piece, "data: {\"a\":   1}\n\ndata: {}\n\n");
    }
}
