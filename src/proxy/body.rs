//! The body of an answer, whoever gave it; its end is the end of the request.

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
use super::record::Record;
use super::seat::{Seat, Turn};
use crate::auth::Session;

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Content {
    /// None.
    Empty,
    /// A page or a document of ours.
    Own(Bytes),
    /// An app.
    App(Download),
}

/// An app's answer and the connection it comes over, which goes back to the pool at its end.
pub(super) struct Download {
    body: Incoming,
    link: Option<Box<Link>>,
    pool: Rc<Pool>,
    /// Whose answer it is, where somebody has to be signed in.
    session: Option<Arc<Session>>,
    ended: bool,
}

/// Why an answer was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The app's connection.
    #[error(transparent)]
    App(#[from] hyper::Error),
    /// Nothing more of it is for this person's eyes.
    #[error("the session has ended")]
    SessionEnded,
}

type Piece = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// A body that ends its request's record and hands the turn back.
pub(super) struct Answer {
    content: Content,
    /// `None` when a tunnel goes on with it.
    record: Option<Box<Record>>,
    seat: Rc<Seat>,
}

impl Answer {
    pub(super) fn new(content: Content, record: Option<Box<Record>>, seat: Rc<Seat>) -> Self {
        Self { content, record, seat }
    }
}

impl Content {
    fn is_over(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Own(bytes) => bytes.is_empty(),
            Self::App(download) => download.is_over(),
        }
    }
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        link: Box<Link>,
        pool: Rc<Pool>,
        session: Option<Arc<Session>>,
    ) -> Self {
        Self { body, link: Some(link), pool, session, ended: false }
    }

    fn is_over(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Piece {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            // Ready means that the connection has ended, which the body tells by itself.
            let _ = link.poll_drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                link.poll_hurry(cx);
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
        }
        // A stream of events would otherwise go on for as long as the app has something to say.
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

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        let this = self.get_mut();
        let frame = match &mut this.content {
            Content::Own(bytes) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Content::Empty | Content::Own(_) => Poll::Ready(None),
            Content::App(download) => download.poll_frame(cx),
        };
        if let Some(record) = &mut this.record {
            match &frame {
                Poll::Ready(Some(Ok(frame))) => {
                    record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(Some(Err(_))) => record.broken = true,
                _ => {}
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::App(download) => download.body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.complete = self.content.is_over();
        }
        if self.seat.unread.get()
            && let Content::App(download) = &mut self.content
        {
            // It still holds a request body that nobody wants: neither side could go on.
            download.link = None;
        }
        self.seat.turn.set(Turn::Flushing);
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("record", &self.record).finish_non_exhaustive()
    }
}
