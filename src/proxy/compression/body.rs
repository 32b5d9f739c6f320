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
use crate::proxy::phases::headers::content_coding::Coding;
use crate::proxy::upstream::download::{BodyError, Download, PollFrame};
use crate::threads::blocking;

/// Bytes that are worth sending before the app pauses.
const PIECE: usize = 4096;

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
    /// `None` when it has ended.
    plain: Option<Plain>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The whole text is read first.
    Collects { text: BytesMut, coding: Coding, room: Room, store: Store },
    /// Another thread compresses it.
    Works(JoinHandle<io::Result<Bytes>>),
    /// Each piece is compressed at once; `unsent`: the client cannot read all pieces yet.
    Streams { encoder: Encoder, unsent: bool, _place: Place },
    /// The text is complete; trailers may follow.
    Ends(Option<Frame<Bytes>>),
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
        Compressed { plain: Some(plain), state }
    }
}

impl Compressed {
    /// The app's response, until it has ended.
    pub(in crate::proxy) fn download(&self) -> Option<&Download> {
        match &self.plain {
            Some(Plain::App(download)) => Some(download),
            Some(Plain::File(_)) | None => None,
        }
    }

    pub(in crate::proxy) fn download_mut(&mut self) -> Option<&mut Download> {
        match &mut self.plain {
            Some(Plain::App(download)) => Some(download),
            Some(Plain::File(_)) | None => None,
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
                State::Works(work) => {
                    let bytes = ready!(work.poll_unpin(cx)).map_err(io::Error::other).flatten();
                    self.state = State::Ends(None);
                    return Poll::Ready(Some(bytes.map(Frame::data).map_err(BodyError::Encoder)));
                }
                State::Collects { .. } | State::Streams { .. } => {}
            }
            let Some(plain) = &mut self.plain else { return Poll::Ready(None) };
            match plain.poll_frame(cx) {
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
            State::Works(_) | State::Ends(_) => {}
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
        self.plain = None;
        match std::mem::replace(&mut self.state, State::Ends(trailers)) {
            State::Collects { text, coding, room, store } => {
                let work = async move {
                    let turn = store.turn().await;
                    let compress = move || {
                        let _held = (room, turn);
                        store.compressed(&text, coding)
                    };
                    blocking(compress).await
                };
                self.state = State::Works(tokio::spawn(work));
                None
            }
            State::Streams { encoder, .. } => match encoder.finish() {
                Ok(rest) => some_frame(rest),
                Err(error) => Some(Err(BodyError::Encoder(error))),
            },
            State::Works(_) | State::Ends(_) => None,
        }
    }
}

fn some_frame(bytes: Vec<u8>) -> Option<Result<Frame<Bytes>, BodyError>> {
    (!bytes.is_empty()).then(|| Ok(Frame::data(bytes.into())))
}
