//! Splits a stream of bytes into lines.
//!
//! Guarantees: no byte is lost or duplicated, the parts of a line from several writes are joined,
//! and memory stays bounded whatever a child writes. A line over [`LONGEST`] is split into pieces
//! that are marked as continued. CR before LF is dropped.

/// Longest text of one log line in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// The buffer of an unfinished line is shrunk to this size.
const KEEP: usize = 16 * 1024;

/// What follows a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// Nothing: the line is complete.
    No,
    /// The next piece of a line that was too long.
    Cut,
    /// Possibly more text: the writer has paused within the line.
    Paused,
}

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Text without its line end.
    pub(super) text: &'a [u8],
    /// Whether this piece continues the one before.
    pub(super) continued: bool,
    /// What follows this piece.
    pub(super) more: More,
}

/// The unfinished line of one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    continued: bool,
}

impl Lines {
    /// Takes bytes as they were read, and passes on each line that is complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.held.is_empty() && line.len() <= LONGEST {
                let text = line.strip_suffix(b"\r").unwrap_or(line);
                each(Line { text, continued: self.continued, more: More::No });
                self.continued = false;
            } else {
                self.held.extend_from_slice(line);
                self.cut(each);
                self.emit(More::No, each);
            }
        }
        self.held.extend_from_slice(bytes);
        self.cut(each);
    }

    /// Passes on the unfinished line because its writer has ended (`More::No`) or paused.
    pub(super) fn release(&mut self, more: More, each: &mut impl FnMut(Line<'_>)) {
        if self.is_partial() {
            self.emit(more, each);
        }
    }

    /// Whether an unfinished line is held.
    pub(super) fn is_partial(&self) -> bool {
        !self.held.is_empty()
    }

    fn emit(&mut self, more: More, each: &mut impl FnMut(Line<'_>)) {
        let text = match more {
            More::No => self.held.strip_suffix(b"\r").unwrap_or(&self.held),
            More::Cut | More::Paused => &self.held,
        };
        each(Line { text, continued: self.continued, more });
        self.continued = false;
        self.held.clear();
        self.held.shrink_to(KEEP);
    }

    fn cut(&mut self, each: &mut impl FnMut(Line<'_>)) {
        let mut from = 0;
        while self.held.len() - from > LONGEST + usize::from(self.held.ends_with(b"\r")) {
            let end = from + piece(&self.held[from..]);
            each(Line { text: &self.held[from..end], continued: self.continued, more: More::Cut });
            self.continued = true;
            from = end;
        }
        self.held.drain(..from);
    }
}

/// Length of the first piece of a long text. UTF-8 characters are not split.
fn piece(text: &[u8]) -> usize {
    let starts_character = |at: &usize| text[*at] & 0b1100_0000 != 0b1000_0000;
    (LONGEST - 3..=LONGEST).rev().find(starts_character).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(blocks: &[&[u8]]) -> Vec<(String, bool, More)> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| {
            seen.push((String::from_utf8_lossy(line.text).into_owned(), line.continued, line.more));
        };
        for block in blocks {
            lines.feed(block, &mut each);
        }
        lines.release(More::No, &mut each);
        seen
    }

    fn texts(blocks: &[&[u8]]) -> Vec<String> {
        cut(blocks).into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn lines_are_joined_over_writes_and_the_last_needs_no_end() {
        assert_eq!(texts(&[b"lis", b"ten\nb\r", b"\n\nlast"]), ["listen", "b", "", "last"]);
        assert_eq!(texts(&[b"a\rb\n", b"\r\n"]), ["a\rb", ""]);
        assert!(texts(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_line_that_just_fits_is_whole() {
        let line = "x".repeat(LONGEST);
        for end in ["\n", "\r\n", ""] {
            let seen = cut(&[line.as_bytes(), end.as_bytes()]);
            assert_eq!(seen, [(line.clone(), false, More::No)]);
        }
    }

    #[test]
    fn a_longer_line_is_cut_at_characters_and_marked() {
        let line = "é".repeat(LONGEST);
        let seen = cut(&[b"a", line.as_bytes(), b"\nnext\n"]);
        let marks: Vec<_> = seen.iter().map(|(_, continued, more)| (*continued, *more)).collect();
        assert_eq!(
            marks,
            [(false, More::Cut), (true, More::Cut), (true, More::No), (false, More::No)]
        );
        let joined: String = seen[..3].iter().map(|(text, ..)| text.as_str()).collect();
        assert_eq!(joined, format!("a{line}"));
    }

    #[test]
    fn a_pause_hands_over_what_there_is() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| seen.push((line.text.to_vec(), line.more));
        lines.feed(b"password: ", &mut each);
        lines.release(More::Paused, &mut each);
        lines.release(More::Paused, &mut each);
        lines.feed(b"ok\n", &mut each);
        assert_eq!(seen, [(b"password: ".to_vec(), More::Paused), (b"ok".to_vec(), More::No)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_written(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(0xc3)], 0..400),
            size in 1_usize..50,
        ) {
            let blocks: Vec<&[u8]> = text.chunks(size).collect();
            let whole = String::from_utf8_lossy(&text).into_owned();
            let mut expected: Vec<String> =
                text.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l).into_owned()).collect();
            if whole.is_empty() || whole.ends_with('\n') {
                expected.pop();
            }
            prop_assert_eq!(texts(&blocks), expected);
        }
    }
}
