//! The body of every response. The request is over when its body is dropped.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::proxy::phases::record::Record;
use crate::proxy::socket::connection_state::{ConnectionState, Turn};
use crate::proxy::upstream::download::{BodyError, Download, Piece};

/// Where the bytes of a response come from.
#[derive(Debug)]
pub(crate) enum Content {
    /// The appliance: a page or a document; empty for none.
    Own(Bytes),
    /// An app.
    App(Download),
}

/// The body of a response. When it is dropped, it completes the access record and gives the turn
/// back to the client.
pub(crate) struct Answer {
    content: Content,
    /// `None` when a tunnel keeps the record.
    record: Option<Box<Record>>,
    state: Rc<ConnectionState>,
}

impl Answer {
    pub(crate) fn new(
        content: Content,
        record: Option<Box<Record>>,
        state: Rc<ConnectionState>,
    ) -> Self {
        Self { content, record, state }
    }
}

impl Content {
    /// No body.
    pub(super) const EMPTY: Self = Self::Own(Bytes::new());

    fn is_over(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_empty(),
            Self::App(download) => download.is_over(),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        let this = self.get_mut();
        let frame = match &mut this.content {
            Content::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
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
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::App(download) => download.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.complete = self.content.is_over();
        }
        if self.state.unread.get()
            && let Content::App(download) = &mut self.content
        {
            // The app's connection still holds a request body that is not read any more. Neither
            // side could use the connection again.
            download.close();
        }
        self.state.turn.set(Turn::Flushing);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("record", &self.record).finish_non_exhaustive()
    }
}
