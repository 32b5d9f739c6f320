//! The body of a response with a file. It ends when the right of its request is lost.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use crate::proxy::phases::access::right::Loss;
use crate::proxy::upstream::download::{BodyError, PollFrame};
use crate::proxy::upstream::lasting::Bond;
use crate::site::{File, Reader, Site};

/// The bytes of a file on their way to a client.
#[derive(Debug)]
pub(crate) struct FileBody {
    reader: Reader,
    bond: Bond,
}

impl FileBody {
    /// The bytes of a part of the file.
    pub(super) fn new(site: &Arc<Site>, file: File, part: (u64, u64), bond: Bond) -> Self {
        Self { reader: site.read(file, part), bond }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> u64 {
        self.reader.left()
    }

    /// Whether all bytes were sent.
    pub(crate) fn is_over(&self) -> bool {
        self.left() == 0
    }

    /// Why the body ended early, if its right was lost.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.bond.loss()
    }

    /// What binds the body to the right of its request.
    pub(crate) fn bond(&mut self) -> &mut Bond {
        &mut self.bond
    }

    /// The next piece.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PollFrame {
        let piece = match self.reader.poll_piece(cx) {
            Poll::Ready(Some(Ok(piece))) => piece,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::File(error)))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                return self.bond.poll_pause(None, cx).map(|loss| Some(Err(BodyError::Lost(loss))));
            }
        };
        Poll::Ready(Some(self.permitted(piece, cx)))
    }

    fn permitted(&mut self, piece: Bytes, cx: &Context<'_>) -> Result<Frame<Bytes>, BodyError> {
        match self.bond.check_piece(piece.len(), self.reader.left() == 0, cx) {
            Some(loss) => Err(BodyError::Lost(loss)),
            None => Ok(Frame::data(piece)),
        }
    }
}
