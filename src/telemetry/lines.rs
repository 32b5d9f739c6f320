//! Splits a stream of bytes into lines.
//!
//! Guarantees: no byte is lost or duplicated, the parts of a line from several writes are joined,
//! and memory stays bounded whatever a child writes. A line over [`LONGEST`] is split into pieces
//! that are marked as continued. CR before LF is dropped.
//!
//! A progress bar overwrites its line: it writes a lone CR before or after each state. As on a
//! terminal, only the newest state of such a line counts; the states before it are dropped unless the
//! caller has released them meanwhile.

/// Longest text of one log line in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// Longest state of a progress bar. A longer text is kept: it only contains a CR by chance where two
/// writes meet.
const LONGEST_STATE: usize = 4 * 1024;

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
    /// A write has overwritten what an earlier write had put on this line.
    overwritten: bool,
}

impl Lines {
    /// Takes bytes as they were read, and passes on each line that is complete.
    pub(super) fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            self.overwrite(line);
            if self.held.is_empty() && line.len() <= LONGEST && !self.overwritten {
                let text = line.strip_suffix(b"\r").unwrap_or(line);
                each(Line { text, continued: self.continued, more: More::No });
                self.continued = false;
            } else {
                self.held.extend_from_slice(line);
                self.cut(each);
                self.emit(More::No, each);
            }
        }
        self.overwrite(bytes);
        self.held.extend_from_slice(bytes);
        self.cut(each);
    }

    /// Drops the held state of a progress bar if `bytes`, which follow it, overwrite it.
    fn overwrite(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else { return };
        let moves_back = self.held.ends_with(b"\r") && *first != b'\n';
        let begins_anew = *first == b'\r' && bytes.get(1).is_some_and(|next| *next != b'\n');
        if moves_back && self.held.len() > 1 || begins_anew && !self.held.is_empty() {
            self.overwritten |= self.held.len() <= LONGEST_STATE;
            if self.overwritten {
                self.held.clear();
            }
        }
    }

    /// Whether the unfinished line is one that its writer overwrites, as a progress bar.
    pub(super) fn is_overwritten(&self) -> bool {
        self.overwritten
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
        let mut text = match more {
            More::No | More::Paused => self.held.strip_suffix(b"\r").unwrap_or(&self.held),
            More::Cut => &self.held,
        };
        if self.overwritten {
            text = newest_state(text);
            self.overwritten = more != More::No;
        }
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

/// The text after the last lone CR.
fn newest_state(text: &[u8]) -> &[u8] {
    memchr::memrchr(b'\r', text).map_or(text, |at| &text[at + 1..])
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
    fn only_the_newest_state_of_a_progress_bar_is_kept() {
        for blocks in [
            &[&b"\r 1%"[..], b"\r 2%", b"\r 3%", b"\nend\n"][..],
            &[b" 1%\r", b" 2%\r", b" 3%\r", b"\nend\n"],
            &[b" 1%", b"\r", b" 2%", b"\r", b" 3%\r\nend\n"],
            &[b" 1%\r 2%\r", b" 3%\nend\n"],
            &[b" 0%", b"\r 1%\r 2%\r 3%\nend\n"],
        ] {
            assert_eq!(texts(blocks), [" 3%", "end"], "{blocks:?}");
        }
    }

    #[test]
    fn a_state_of_a_progress_bar_is_handed_over_while_it_moves() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| seen.push((line.text.to_vec(), line.more));
        assert!(!lines.is_overwritten());
        for state in [&b"\r 1%"[..], b"\r 2%"] {
            lines.feed(state, &mut each);
        }
        assert!(lines.is_overwritten());
        lines.release(More::Paused, &mut each);
        lines.feed(b"\r 3%", &mut each);
        lines.feed(b"\r 4%", &mut each);
        lines.feed(b"\n", &mut each);
        assert!(!lines.is_overwritten());
        let waiting = |lines: &mut Lines, text: &[u8]| {
            lines.feed(text, &mut |_| ());
            lines.is_overwritten()
        };
        assert!(!waiting(&mut lines, b"a line in pieces, ") && !waiting(&mut lines, b"its end\r"));
        lines.feed(b"\n", &mut each);
        assert_eq!(
            seen,
            [
                (b" 2%".to_vec(), More::Paused),
                (b" 4%".to_vec(), More::No),
                (b"a line in pieces, its end".to_vec(), More::No)
            ]
        );
    }

    #[test]
    fn a_line_that_ends_in_cr_is_shown_when_its_writer_pauses() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.feed(b"50 %\r", &mut |_| ());
        lines.release(More::Paused, &mut |line: Line<'_>| seen.push(line.text.to_vec()));
        assert_eq!(seen, [b"50 %".to_vec()]);
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
