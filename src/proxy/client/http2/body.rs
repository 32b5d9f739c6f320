//! The body of a response on an HTTP/2 stream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::piece::Piece;
use super::room::Room;
use super::stream::Stream;
use crate::proxy::phases::headers::hop_by_hop;
use crate::proxy::pipeline::response_body::ResponseBody;

/// The largest piece that h2 gets at once: h2 keeps the whole piece until the client has taken it, after the
/// end of the stream's task, too.
const MAX_PIECE: usize = 16 * 1024;

/// The body of a response.
#[derive(Debug)]
pub(super) struct StreamBody {
    body: ResponseBody,
    /// The rest of a larger piece.
    rest: Bytes,
    stream: Rc<Stream>,
    /// For the connection to the app, or for the file.
    _room: Option<Room>,
}

impl StreamBody {
    pub(super) fn new(body: ResponseBody, stream: Rc<Stream>, room: Option<Room>) -> Self {
        Self { body, rest: Bytes::new(), stream, _room: room }
    }
}

impl Body for StreamBody {
    type Data = Piece;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        let this = self.get_mut();
        // hyper asks for the next piece when the client has room for the one before.
        this.stream.untaken.set(None);
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => {
                        let trailers = frame.into_trailers().ok().map(trailers);
                        return Poll::Ready(trailers.map(Ok));
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        this.stream.untaken.set(Some(Instant::now()));
        let piece = this.rest.split_to(MAX_PIECE.min(this.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(Piece::new(piece, &this.stream)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn trailers(mut fields: HeaderMap) -> Frame<Piece> {
    hop_by_hop::strip_trailers(&mut fields);
    Frame::trailers(fields)
}
