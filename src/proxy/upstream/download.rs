//! The body of an app's response, and the connection that carries it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::app_connection::AppConnection;
use super::lasting::Bond;
use super::pool::Pool;
use crate::proxy::answer::cause::Cause;
use crate::proxy::phases::access::right::Loss;

/// The body of an app's response. The connection returns to the pool when the body has ended.
pub(crate) struct Download {
    body: Incoming,
    connection: Option<Box<AppConnection>>,
    pool: Rc<Pool>,
    /// The right of the request.
    bond: Bond,
    /// The right was lost before the end of the body.
    loss: Option<Loss>,
    ended: bool,
}

/// Why a response body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection to the app broke.
    #[error(transparent)]
    App(#[from] hyper::Error),
    /// The body cannot be compressed.
    #[error("cannot compress: {0}")]
    Encoder(std::io::Error),
    /// A file cannot be read to its end.
    #[error(transparent)]
    File(#[from] crate::site::SiteError),
    /// The right was lost before the end of the body.
    #[error("{}", .0.reason())]
    Lost(Loss),
}

impl BodyError {
    /// What the access line says of the error; `None` if the app broke off its response.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self {
            Self::App(_) | Self::Encoder(_) => None,
            Self::File(error) => Some(Cause::new("file_failed", error.to_string())),
            Self::Lost(loss) => Some(loss.cause()),
        }
    }
}

/// The result of one poll of a response body.
pub(crate) type PollFrame = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Download {
    /// A response body over `connection`. The loss of the bond's right ends the body.
    pub(crate) fn new(
        body: Incoming,
        connection: Box<AppConnection>,
        pool: Rc<Pool>,
        bond: Bond,
    ) -> Self {
        Self { body, connection: Some(connection), pool, bond, loss: None, ended: false }
    }

    /// Whether the body has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// The length of the body, as far as it is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    /// Whether the app sends events by itself, and the client only listens.
    pub(crate) fn is_event_stream(&self) -> bool {
        self.bond.is_of_events()
    }

    /// Why the body ended early, if its right was lost.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.loss.or_else(|| self.bond.loss())
    }

    /// What binds the body to the right of its request.
    pub(crate) fn bond(&mut self) -> &mut Bond {
        &mut self.bond
    }

    /// Returns the connection to the pool if the body has ended.
    pub(crate) fn release(&mut self) {
        if self.is_over()
            && let Some(connection) = self.connection.take()
        {
            self.pool.put_back(connection);
        }
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
        let loss = match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let is_last = self.body.is_end_stream();
                self.bond.check_piece(frame.data_ref().map_or(0, Bytes::len), is_last, cx)
            }
            Poll::Ready(None | Some(Err(_))) => None,
            Poll::Pending => match self.bond.poll_pause(self.connection.as_deref_mut(), cx) {
                Poll::Ready(loss) => Some(loss),
                Poll::Pending => None,
            },
        };
        if let Some(loss) = loss {
            self.loss = Some(loss);
            self.connection = None;
            return Poll::Ready(Some(Err(BodyError::Lost(loss))));
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
        self.release();
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("ended", &self.ended).finish_non_exhaustive()
    }
}
