//! Reads an open file piece by piece, with constant memory.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::turns::{SiteError, Turns};

/// Bytes that are read at once.
pub(super) const PIECE: u64 = 128 * 1024;

/// The reading of one piece.
type Step = Pin<Box<dyn Future<Output = Result<Bytes, SiteError>>>>;

/// A part of a file on its way to a client.
pub(crate) struct Reader {
    turns: Turns,
    file: Arc<fs::File>,
    at: u64,
    end: u64,
    /// The beginning, if it has been read already.
    first: Option<Bytes>,
    step: Option<Step>,
}

impl Reader {
    /// The bytes from `start` to before `end`. `first`: those at the beginning of the file.
    pub(super) fn new(
        turns: Turns,
        file: Arc<fs::File>,
        (start, end): (u64, u64),
        first: Option<Bytes>,
    ) -> Self {
        let first =
            first.filter(|bytes| start == 0 && !bytes.is_empty() && bytes.len() as u64 <= end);
        Self { turns, file, at: start, end, first, step: None }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The next piece; `None` after the last one.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SiteError>>> {
        if let Some(first) = self.first.take() {
            self.at += first.len() as u64;
            return Poll::Ready(Some(Ok(first)));
        }
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        let (turns, file, at, left) = (&self.turns, &self.file, self.at, self.end - self.at);
        let step = self.step.get_or_insert_with(|| {
            let (turns, file) = (turns.clone(), Arc::clone(file));
            Box::pin(async move {
                let read = turns.work(move || read(&file, at, left.min(PIECE))).await?;
                read.map_err(SiteError::Unreadable)
            })
        });
        let piece = ready!(step.as_mut().poll(cx));
        self.step = None;
        if let Ok(piece) = &piece {
            self.at += piece.len() as u64;
        }
        Poll::Ready(Some(piece))
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("at", &self.at)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Reads `length` bytes. A file that has become shorter is an error: its length has been promised.
pub(super) fn read(file: &fs::File, at: u64, length: u64) -> io::Result<Bytes> {
    // At most PIECE.
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}
