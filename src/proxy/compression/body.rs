//! The body of a compressed response.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body::Frame;
use tokio::task::JoinHandle;

use super::Plain;
use super::encoder::{Effort, Encoder};
use super::store::{Place, Room, Store};
use crate::proxy::phases::access::right::Loss;
use crate::proxy::phases::headers::content_coding::Coding;
use crate::proxy::upstream::download::{BodyError, Download, PollFrame};
use crate::threads::blocking;

/// Bytes that are worth sending before the app pauses.
const PIECE: usize = 4096;
/// Of a text that is compressed as a whole, the client is sent as many bytes at once: its right is looked at
/// again before each of them.
const SENT_AT_ONCE: usize = 16 * 1024;

/// How a response is compressed, before its body is known.
#[derive(Debug)]
pub(super) struct Plan {
    coding: Coding,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Whole(Room, Store),
    Pieces(Encoder, Place),
}

/// A compressed body.
#[derive(Debug)]
pub(in crate::proxy) struct Compressed {
    /// Kept until the client has taken all of the result, which is bound to the same right.
    plain: Plain,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The whole text is read first.
    Collects { text: BytesMut, coding: Coding, room: Room, store: Store },
    /// Another thread compresses it.
    Works(Work),
    /// The client takes the result. It has room until then.
    Sends { rest: Bytes, _room: Room },
    /// Each piece is compressed at once; `unsent`: the client cannot read all pieces yet.
    Streams { encoder: Encoder, unsent: bool, _place: Place },
    /// The text is complete; trailers may follow.
    Ends(Option<Frame<Bytes>>),
}

/// The work of another thread. It is not begun for a client that has left.
#[derive(Debug)]
struct Work(JoinHandle<(io::Result<Bytes>, Room)>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Plan {
    pub(super) fn whole(coding: Coding, room: Room, store: &Store) -> Self {
        Self { coding, way: Way::Whole(room, store.clone()) }
    }

    /// `None` if there is no encoder, for example for lack of memory.
    pub(super) fn pieces(coding: Coding, place: Place) -> Option<Self> {
        let encoder = Encoder::new(coding, Effort::Once).ok()?;
        Some(Self { coding, way: Way::Pieces(encoder, place) })
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Begins with the body of a response.
    pub(super) fn begin(self, plain: Plain) -> Compressed {
        let coding = self.coding;
        let state = match self.way {
            Way::Whole(room, store) => {
                let text = BytesMut::with_capacity(room.length);
                State::Collects { text, coding, room, store }
            }
            Way::Pieces(encoder, place) => State::Streams { encoder, unsent: false, _place: place },
        };
        Compressed { plain, state }
    }
}

impl Compressed {
    /// The app's response, until it has ended.
    pub(in crate::proxy) fn download(&self) -> Option<&Download> {
        match (&self.plain, &self.state) {
            (Plain::App(download), State::Collects { .. } | State::Streams { .. }) => {
                Some(download)
            }
            _ => None,
        }
    }

    pub(in crate::proxy) fn download_mut(&mut self) -> Option<&mut Download> {
        match (&mut self.plain, &self.state) {
            (Plain::App(download), State::Collects { .. } | State::Streams { .. }) => {
                Some(download)
            }
            _ => None,
        }
    }

    /// Why the body ended early, if its right was lost.
    pub(in crate::proxy) fn loss(&self) -> Option<Loss> {
        match &self.plain {
            Plain::App(download) => download.loss(),
            Plain::File(file) => file.loss(),
        }
    }

    pub(in crate::proxy) fn is_over(&self) -> bool {
        matches!(self.state, State::Ends(None))
    }

    /// The next piece of the compressed body.
    pub(in crate::proxy) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PollFrame {
        loop {
            match &mut self.state {
                State::Ends(trailers) => return Poll::Ready(trailers.take().map(Ok)),
                State::Works(work) => match ready!(work.0.poll_unpin(cx)) {
                    Ok((Ok(rest), room)) => {
                        self.state = State::Sends { rest, _room: room };
                        continue;
                    }
                    Ok((Err(error), _)) => return self.fail(error),
                    Err(error) => return self.fail(io::Error::other(error)),
                },
                State::Sends { .. } => return self.send(cx),
                State::Collects { .. } | State::Streams { .. } => {}
            }
            match self.plain.poll_frame(cx) {
                Poll::Pending => return self.flush(),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    if let Some(frame) = self.end(None) {
                        return Poll::Ready(Some(frame));
                    }
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let frame = match frame.into_data() {
                        Ok(piece) => self.take(&piece),
                        Err(trailers) => self.end(Some(trailers)),
                    };
                    if let Some(frame) = frame {
                        return Poll::Ready(Some(frame));
                    }
                }
            }
        }
    }

    fn fail(&mut self, error: io::Error) -> PollFrame {
        self.state = State::Ends(None);
        Poll::Ready(Some(Err(BodyError::Encoder(error))))
    }

    /// The next piece of a result that is complete.
    fn send(&mut self, cx: &Context<'_>) -> PollFrame {
        let State::Sends { rest, .. } = &mut self.state else { return Poll::Ready(None) };
        let piece = rest.split_to(rest.len().min(SENT_AT_ONCE));
        let is_last = rest.is_empty();
        if is_last {
            self.state = State::Ends(None);
        }
        Poll::Ready(Some(match self.plain.bond().check_piece(piece.len(), is_last, cx) {
            Some(loss) => Err(BodyError::Lost(loss)),
            None => Ok(Frame::data(piece)),
        }))
    }

    /// Takes a piece of the text.
    fn take(&mut self, piece: &Bytes) -> Option<Result<Frame<Bytes>, BodyError>> {
        match &mut self.state {
            State::Collects { text, .. } => text.extend_from_slice(piece),
            State::Streams { encoder, unsent, .. } => {
                if let Err(error) = encoder.write(piece) {
                    return Some(Err(BodyError::Encoder(error)));
                }
                *unsent = true;
                if encoder.written() >= PIECE {
                    return some_frame(encoder.take());
                }
            }
            State::Works(_) | State::Sends { .. } | State::Ends(_) => {}
        }
        None
    }

    /// The app pauses: the client gets all that was sent so far.
    fn flush(&mut self) -> PollFrame {
        let State::Streams { encoder, unsent, .. } = &mut self.state else { return Poll::Pending };
        if !std::mem::take(unsent) {
            return Poll::Pending;
        }
        if let Err(error) = encoder.flush() {
            return Poll::Ready(Some(Err(BodyError::Encoder(error))));
        }
        some_frame(encoder.take()).map_or(Poll::Pending, |frame| Poll::Ready(Some(frame)))
    }

    /// The text has ended.
    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.plain.release();
        match std::mem::replace(&mut self.state, State::Ends(trailers)) {
            State::Collects { text, coding, room, store } => {
                let work = async move {
                    let turn = store.turn().await;
                    let compress = move || {
                        let _turn = turn;
                        (store.compressed(&text, coding), room)
                    };
                    blocking(compress).await
                };
                self.state = State::Works(Work(tokio::spawn(work)));
                None
            }
            State::Streams { encoder, .. } => match encoder.finish() {
                Ok(rest) => some_frame(rest),
                Err(error) => Some(Err(BodyError::Encoder(error))),
            },
            State::Works(_) | State::Sends { .. } | State::Ends(_) => None,
        }
    }
}

fn some_frame(bytes: Vec<u8>) -> Option<Result<Frame<Bytes>, BodyError>> {
    (!bytes.is_empty()).then(|| Ok(Frame::data(bytes.into())))
}
