//! Reads an open file piece by piece, with constant memory.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::turns::{SiteError, Turns};

/// Most bytes that are read at once.
const PIECE: u64 = 128 * 1024;
/// Most bytes that are read for a client that may never take them.
const SMALL_PIECE: u64 = 16 * 1024;

/// How much of a file is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// For a client that waits for nothing else: a few long pieces cost least.
    Whole,
    /// For one of many responses that a client may leave untaken: a piece is at most half of what the
    /// client has been given, so what is kept for the client stays in proportion to what it takes.
    Growing,
}

impl Pace {
    /// The length of the next piece, after so many bytes.
    pub(super) fn piece(self, given: u64) -> u64 {
        match self {
            Self::Whole => PIECE,
            Self::Growing => (given / 2 / SMALL_PIECE * SMALL_PIECE).clamp(SMALL_PIECE, PIECE),
        }
    }
}

/// The reading of one piece.
type Step = Pin<Box<dyn Future<Output = Result<Bytes, SiteError>>>>;

/// A part of a file on its way to a client.
pub(crate) struct Reader {
    turns: Turns,
    /// `None` as soon as the last byte is read: a client may take as long as it likes for what is read,
    /// and a small file is read at once.
    file: Option<Arc<fs::File>>,
    start: u64,
    at: u64,
    end: u64,
    pace: Pace,
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
        (pace, first): (Pace, Option<Bytes>),
    ) -> Self {
        let first =
            first.filter(|bytes| start == 0 && !bytes.is_empty() && bytes.len() as u64 <= end);
        let read = first.as_ref().map_or(start, |bytes| bytes.len() as u64);
        let file = Some(file).filter(|_| read < end);
        Self { turns, file, start, at: start, end, pace, first, step: None }
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
        if self.step.is_none() {
            self.step = self.next_step();
        }
        let Some(step) = &mut self.step else { return Poll::Ready(None) };
        let piece = ready!(step.as_mut().poll(cx));
        self.step = None;
        if let Ok(piece) = &piece {
            self.at += piece.len() as u64;
        }
        Poll::Ready(Some(piece))
    }

    fn next_step(&mut self) -> Option<Step> {
        let (turns, at, left) = (self.turns.clone(), self.at, self.end - self.at);
        let length = left.min(self.pace.piece(at - self.start));
        let is_last = left == length;
        let file = if is_last { self.file.take() } else { self.file.clone() }?;
        Some(Box::pin(async move {
            let read = turns.work(move || read(&file, at, length)).await?;
            read.map_err(SiteError::Unreadable)
        }))
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Whether each piece leaves the file open.
    async fn pieces(length: u64, part: (u64, u64), pace: Pace, is_begun: bool) -> Vec<(u64, bool)> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        let file = Arc::new(file);
        let first = is_begun.then(|| read(&file, 0, length.min(pace.piece(0))).unwrap());
        let first = (pace, first);
        let mut reader = Reader::new(Turns::default(), Arc::clone(&file), part, first);
        let mut seen = vec![(0, Arc::strong_count(&file) > 1)];
        while let Some(piece) = poll_fn(|cx| reader.poll_piece(cx)).await {
            seen.push((piece.unwrap().len() as u64, Arc::strong_count(&file) > 1));
        }
        assert_eq!(reader.left(), 0);
        seen
    }

    #[tokio::test]
    async fn a_file_is_closed_as_soon_as_its_last_byte_is_read() {
        for (length, part, is_begun, wanted) in [
            (0, (0, 0), true, &[(0, false)][..]),
            (7, (0, 7), true, &[(0, false), (7, false)]),
            (7, (0, 7), false, &[(0, true), (7, false)]),
            (7, (3, 5), true, &[(0, true), (2, false)]),
            (PIECE, (0, PIECE), true, &[(0, false), (PIECE, false)]),
            (PIECE + 1, (0, PIECE + 1), true, &[(0, true), (PIECE, true), (1, false)]),
            (3 * PIECE, (PIECE, 3 * PIECE), false, &[(0, true), (PIECE, true), (PIECE, false)]),
        ] {
            let seen = pieces(length, part, Pace::Whole, is_begun).await;
            assert_eq!(seen, wanted, "{length} {part:?} {is_begun}");
        }
    }

    #[tokio::test]
    async fn the_pieces_of_one_of_many_responses_grow_with_what_the_client_takes() {
        let grown = [1, 1, 1, 1, 2, 3, 4, 6, 8, 8, 8].map(|times| times * SMALL_PIECE);
        let length: u64 = grown.iter().sum();
        for (part, is_begun) in
            [((0, length), true), ((0, length), false), ((7, length + 7), false)]
        {
            let seen = pieces(length + 7, part, Pace::Growing, is_begun).await;
            let lengths: Vec<_> = seen[1..].iter().map(|(length, _)| *length).collect();
            assert_eq!(lengths, grown, "{part:?} {is_begun}");
        }
        let short = pieces(7, (0, 7), Pace::Growing, true).await;
        assert_eq!(short, [(0, false), (7, false)], "it is read at once");
    }

    #[tokio::test]
    async fn a_file_that_has_become_shorter_is_an_error_and_ends() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut reader = Reader::new(Turns::default(), file, (0, 7), (Pace::Whole, None));
        let piece = poll_fn(|cx| reader.poll_piece(cx)).await;
        assert!(matches!(piece, Some(Err(SiteError::Unreadable(_)))));
        assert!(poll_fn(|cx| reader.poll_piece(cx)).await.is_none());
        assert_eq!(reader.left(), 7);
    }
}
