//! Finds the frames of HTTP/2 in a byte stream (RFC 9113 section 4.1), without their contents.

/// The bytes of the head of a frame.
const HEAD: usize = 9;

// Kinds of frames (RFC 9113 section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The bytes that follow the head.
    pub(super) length: usize,
}

/// Reads a byte stream piece by piece.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Bytes before the next head.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
    block: Block,
}

/// Where the stream is within the header block of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Outside,
    /// More frames of the block follow.
    Open,
    /// The block ends with this frame.
    Last,
}

impl FrameReader {
    /// The first `skip` bytes are no frames.
    pub(super) fn new(skip: usize) -> Self {
        Self { skip, head: [0; HEAD], filled: 0, block: Block::Outside }
    }

    /// Reads a piece, and calls `seen` with each frame whose head is complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip == 0 && self.block == Block::Last {
                self.block = Block::Outside;
            }
            if bytes.is_empty() {
                return;
            }
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < HEAD {
                return;
            }
            self.filled = 0;
            let [high, middle, low, kind, flags, ..] = self.head;
            let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.skip = length;
            if matches!(kind, HEADERS | CONTINUATION) {
                self.block = if flags & END_HEADERS == 0 { Block::Open } else { Block::Last };
            }
            seen(Frame { kind, flags, length });
        }
    }

    /// Whether a header block has begun and has not ended.
    pub(super) fn is_in_header_block(&self) -> bool {
        self.block != Block::Outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::client::preface::PREFACE;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// The kinds and lengths of the frames, fed in pieces of `size`.
    fn read(reader: &mut FrameReader, bytes: &[u8], size: usize) -> Vec<(u8, usize)> {
        let mut seen = Vec::new();
        for piece in bytes.chunks(size) {
            reader.feed(piece, |frame| seen.push((frame.kind, frame.length)));
        }
        seen
    }

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        let bytes = [PREFACE.to_vec(), frame(4, 0, &[1; 6]), frame(1, 5, b"x"), frame(0, 1, &[])];
        let bytes = bytes.concat();
        for size in [1, 2, 7, 9, 10, 1000] {
            let mut reader = FrameReader::new(PREFACE.len());
            assert_eq!(read(&mut reader, &bytes, size), [(4, 6), (1, 1), (0, 0)], "{size}");
            assert!(!reader.is_in_header_block(), "{size}");
        }
    }

    #[test]
    fn a_header_block_ends_with_the_last_byte_of_its_last_frame() {
        for (frames, open) in [
            (vec![frame(1, 4, b"ab")], false),
            (vec![frame(1, 0, b"ab")], true),
            (vec![frame(1, 0, b"ab"), frame(9, 0, b"c")], true),
            (vec![frame(1, 0, b"ab"), frame(9, 4, b"c")], false),
            (vec![frame(1, 4, &[])], false),
            (vec![frame(0, 1, b"ab"), frame(6, 0, &[0; 8])], false),
        ] {
            let bytes = frames.concat();
            let mut reader = FrameReader::new(0);
            read(&mut reader, &bytes, 3);
            assert_eq!(reader.is_in_header_block(), open, "{frames:?}");
            let mut cut = FrameReader::new(0);
            read(&mut cut, &bytes[..bytes.len() - 1], 4);
            let begun = bytes.len() > HEAD && bytes[3] == HEADERS;
            assert_eq!(cut.is_in_header_block(), begun, "{frames:?}");
        }
    }
}
