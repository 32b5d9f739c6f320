//! The body of every response. A request ends when its response body is dropped.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::log_body::LogBody;
use crate::proxy::compression::body::Compressed;
use crate::proxy::compression::{Delivery, Plain};
use crate::proxy::files::body::FileBody;
use crate::proxy::phases::access::right::Loss;
use crate::proxy::phases::record::RequestRecord;
use crate::proxy::socket::exchange::{Exchange, Turn};
use crate::proxy::upstream::download::{BodyError, Download, PollFrame};

/// The source of the bytes of a response body.
#[derive(Debug)]
pub(super) enum BodySource {
    /// The appliance: a page or a document; empty if the response has no body.
    Appliance(Bytes),
    /// An app.
    App(Download),
    /// A file that the appliance serves.
    File(Box<FileBody>),
    /// An app or a file, compressed by the appliance.
    Compressed(Box<Compressed>),
    /// The log of an app, for an operator.
    Log(Box<LogBody>),
}

/// The body of a response. Its drop completes the access record and ends the proxy's turn on the
/// connection.
pub(crate) struct ResponseBody {
    source: BodySource,
    /// `None` if a tunnel keeps the record.
    record: Option<Box<RequestRecord>>,
    state: Rc<Exchange>,
}

impl ResponseBody {
    pub(super) fn new(
        source: BodySource,
        record: Option<Box<RequestRecord>>,
        state: Rc<Exchange>,
    ) -> Self {
        Self { source, record, state }
    }

    /// Whether it holds what is counted for a request until the client has taken the response: a
    /// connection to an app, an open file, or the piece of a file that was read last.
    pub(crate) fn needs_room(&self) -> bool {
        match &self.source {
            BodySource::Appliance(_) => false,
            BodySource::File(file) => !file.is_over(),
            BodySource::App(_) | BodySource::Compressed(_) | BodySource::Log(_) => true,
        }
    }
}

impl BodySource {
    /// No body.
    pub(super) const EMPTY: Self = Self::Appliance(Bytes::new());

    /// The response of an app, or a file.
    pub(super) fn of(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Plain(Plain::App(download)) => Self::App(download),
            Delivery::Plain(Plain::File(file)) => Self::File(file),
            Delivery::Compressed(body) => Self::Compressed(body),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Appliance(bytes) => bytes.is_empty(),
            Self::App(download) => download.is_over(),
            Self::File(file) => file.is_over(),
            Self::Compressed(body) => body.is_over(),
            Self::Log(body) => body.is_over(),
        }
    }

    /// The response of the app, until it has ended.
    fn download(&self) -> Option<&Download> {
        match self {
            Self::Appliance(_) | Self::File(_) | Self::Log(_) => None,
            Self::App(download) => Some(download),
            Self::Compressed(body) => body.download(),
        }
    }

    /// Why the body ended early, if its right was lost.
    fn loss(&self) -> Option<Loss> {
        match self {
            Self::File(file) => file.loss(),
            Self::Compressed(body) => body.loss(),
            Self::Log(body) => body.loss(),
            Self::Appliance(_) | Self::App(_) => self.download()?.loss(),
        }
    }

    fn download_mut(&mut self) -> Option<&mut Download> {
        match self {
            Self::Appliance(_) | Self::File(_) | Self::Log(_) => None,
            Self::App(download) => Some(download),
            Self::Compressed(body) => body.download_mut(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> PollFrame {
        let this = self.get_mut();
        let frame = match &mut this.source {
            BodySource::Appliance(bytes) if bytes.is_empty() => Poll::Ready(None),
            BodySource::Appliance(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            BodySource::App(download) => download.poll_frame(cx),
            BodySource::File(file) => file.poll_frame(cx),
            BodySource::Compressed(body) => body.poll_frame(cx),
            BodySource::Log(body) => body.poll_frame(cx),
        };
        if let Some(record) = &mut this.record {
            if let Some(download) = this.source.download() {
                match &frame {
                    Poll::Pending => record.note_pause(),
                    Poll::Ready(Some(Ok(_))) => {
                        record.note_piece(download.is_event_stream(), download.is_over());
                    }
                    Poll::Ready(_) => {}
                }
            }
            match &frame {
                Poll::Ready(Some(Ok(frame))) => {
                    record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(Some(Err(error))) => {
                    record.broken = true;
                    record.cause = error.cause().or(record.cause.take());
                }
                _ => {}
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            BodySource::Appliance(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodySource::App(download) => download.size_hint(),
            BodySource::File(file) => SizeHint::with_exact(file.left()),
            BodySource::Compressed(_) | BodySource::Log(_) => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.complete = self.source.is_over();
            if let Some(loss) = self.source.loss()
                && !record.complete
            {
                record.broken = true;
                record.cause = Some(loss.cause());
            }
        }
        if self.state.unread.get()
            && let Some(download) = self.source.download_mut()
        {
            // The connection to the app is in the middle of a request body whose rest is not read,
            // so it cannot carry another request.
            download.close();
        }
        self.state.turn.set(Turn::Flushing);
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("record", &self.record).finish_non_exhaustive()
    }
}
