//! The body of an app's response, and the connection that carries it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::app_connection::AppConnection;
use super::pool::Pool;
use crate::auth::Session;

/// The body of an app's response. The connection returns to the pool when the body has ended.
pub(crate) struct Download {
    body: Incoming,
    connection: Option<Box<AppConnection>>,
    pool: Rc<Pool>,
    /// The session of the request, if the policy requires one.
    session: Option<Arc<Session>>,
    ended: bool,
}

/// Why a response body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection to the app broke.
    #[error(transparent)]
    App(#[from] hyper::Error),
    /// The session ended before the end of the body.
    #[error("the session has ended")]
    SessionEnded,
}

/// The result of one poll of a response body.
pub(crate) type PollFrame = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Download {
    /// A response body over `connection`. If a session is given, its end also ends the body.
    pub(crate) fn new(
        body: Incoming,
        connection: Box<AppConnection>,
        pool: Rc<Pool>,
        session: Option<Arc<Session>>,
    ) -> Self {
        Self { body, connection: Some(connection), pool, session, ended: false }
    }

    /// Whether the body has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// The length of the body, as far as it is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// Closes the connection instead of returning it to the pool.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    /// Drives the connection and returns the next piece of the body.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PollFrame {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(connection) = &mut self.connection
        {
            // Ready means that the connection has ended; the body reports the same.
            let _ = connection.poll_drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                connection.poll_with_quick_ack(cx);
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
        }
        // Without this check an event stream would go on for as long as the app sends events.
        if matches!(frame, Poll::Ready(Some(Ok(_))))
            && self.session.as_ref().is_some_and(|session| session.is_over())
        {
            self.connection = None;
            return Poll::Ready(Some(Err(BodyError::SessionEnded)));
        }
        match &frame {
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) => self.connection = None,
            _ => {}
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::App)))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.is_over()
            && let Some(connection) = self.connection.take()
        {
            self.pool.put_back(connection);
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("ended", &self.ended).finish_non_exhaustive()
    }
}
