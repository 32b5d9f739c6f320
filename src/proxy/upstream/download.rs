//! The body of an app's response, and the connection that it comes over.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::link::Link;
use super::pool::Pool;
use crate::auth::Session;

/// The body of an app's response. Its connection goes back to the pool when the body has ended.
pub(crate) struct Download {
    body: Incoming,
    link: Option<Box<Link>>,
    pool: Rc<Pool>,
    /// The session that the response belongs to, where the policy requires one.
    session: Option<Arc<Session>>,
    ended: bool,
}

/// Why a response body was broken off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The app's connection broke.
    #[error(transparent)]
    App(#[from] hyper::Error),
    /// The session ended while the body was still coming.
    #[error("the session has ended")]
    SessionEnded,
}

/// One poll of a response body.
pub(crate) type Piece = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Download {
    /// A body that belongs to `session`, if one is given, and ends with it.
    pub(crate) fn new(
        body: Incoming,
        link: Box<Link>,
        pool: Rc<Pool>,
        session: Option<Arc<Session>>,
    ) -> Self {
        Self { body, link: Some(link), pool, session, ended: false }
    }

    /// Whether the body has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// What is known of the body's length.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// Closes the connection instead of returning it to the pool.
    pub(crate) fn close(&mut self) {
        self.link = None;
    }

    /// Drives the connection and returns the next piece of the body.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Piece {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            // Ready means that the connection has ended; the body reports that itself.
            let _ = link.poll_drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                link.poll_hurry(cx);
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
        }
        // Without this check an event stream would go on for as long as the app sends events.
        if matches!(frame, Poll::Ready(Some(Ok(_))))
            && self.session.as_ref().is_some_and(|session| session.is_over())
        {
            self.link = None;
            return Poll::Ready(Some(Err(BodyError::SessionEnded)));
        }
        match &frame {
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) => self.link = None,
            _ => {}
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::App)))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.is_over()
            && let Some(link) = self.link.take()
        {
            self.pool.put(link);
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("ended", &self.ended).finish_non_exhaustive()
    }
}
