//! `status --watch`: the table again and again. A terminal is redrawn in place; any other output gets
//! one block after the other.

use std::io::{self, Write};
use std::time::Duration;

/// Pause between two tables.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

/// To the upper left corner.
const HOME: &str = "\x1b[H";
const CLEAR: &str = "\x1b[2J";
/// From the cursor to the end of the line, and of the screen.
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Where the tables go.
#[derive(Debug)]
pub(super) struct Frames {
    terminal: bool,
    is_first: bool,
}

impl Frames {
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal, is_first: true }
    }

    /// Writes the next one. `rows`: height of the terminal; what does not fit is counted.
    pub(super) fn write(
        &mut self,
        text: &str,
        rows: Option<usize>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if !self.terminal {
            let separator = if is_first { "" } else { "\n" };
            write!(out, "{separator}{text}")?;
            return out.flush();
        }
        let mut frame = String::new();
        if is_first {
            frame.push_str(CLEAR);
        }
        frame.push_str(HOME);
        for line in visible(text, rows.unwrap_or(usize::MAX)) {
            frame.push_str(&line);
            frame.push_str(REST_OF_LINE);
            frame.push('\n');
        }
        frame.push_str(REST_OF_SCREEN);
        out.write_all(frame.as_bytes())?;
        out.flush()
    }
}

/// The lines that fit, with the line of the cursor below them.
fn visible(text: &str, rows: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let room = rows.saturating_sub(1).max(1);
    if lines.len() <= room {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let shown = room - 1;
    let hidden = format!("… {} more lines", lines.len() - shown);
    lines[..shown].iter().map(|line| (*line).to_owned()).chain([hidden]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(terminal: bool, rows: Option<usize>) -> String {
        let (mut frames, mut out) = (Frames::new(terminal), Vec::new());
        for text in ["a\nb\nc\n", "d\n"] {
            frames.write(text, rows, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_terminal_blocks_follow_each_other() {
        assert_eq!(written(false, None), "a\nb\nc\n\nd\n");
    }

    #[test]
    fn a_terminal_is_cleared_once_and_then_written_over() {
        let text = written(true, Some(10));
        assert_eq!(text, "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J\x1b[Hd\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_low_terminal_says_how_much_is_hidden() {
        assert_eq!(visible("a\nb\nc\nd\n", 4), ["a", "b", "… 2 more lines"]);
        assert_eq!(visible("a\nb\nc\n", 4), ["a", "b", "c"]);
        assert_eq!(visible("a\nb\n", 0), ["… 2 more lines"]);
    }
}
