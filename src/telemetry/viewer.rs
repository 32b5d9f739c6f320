//! A line of the log for whoever asks for it later: `logs` may run on a terminal when our stdout
//! is none, or into a file when it is one.

use super::escape;
use super::format::{DIM, OURSELVES, RESET};
use crate::config::Color;

/// Where the answer of `logs` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Nothing that a child wrote may command it.
    pub terminal: bool,
    /// Keeps the colours that the line has.
    pub color: bool,
}

impl Viewer {
    /// `color` is what `[log]` says.
    pub fn new(color: Color, terminal: bool) -> Self {
        let color = match color {
            Color::Auto => terminal,
            Color::Always => true,
            Color::Never => false,
        };
        Self { terminal, color }
    }

    /// The line as it may be shown there, without its end.
    pub fn show(self, line: &str) -> Vec<u8> {
        let (head, text) = line.split_at(head(line));
        let mut out = Vec::with_capacity(line.len());
        if self.color {
            out.extend_from_slice(head.as_bytes());
        } else {
            plain(&mut out, head);
        }
        if self.terminal {
            escape::terminal(&mut out, text.as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        out
    }
}

/// Length of what is ours in a coloured line. One without colours needs none to be kept.
fn head(line: &str) -> usize {
    const BORDER: &str = "|\x1b[0m ";
    let border = line.starts_with(DIM).then(|| line.find(BORDER)).flatten();
    let Some(end) = border.map(|at| at + BORDER.len()) else { return 0 };
    let (head, text) = line.split_at(end);
    if head.contains(OURSELVES) && text.starts_with("\x1b[") {
        return text.find(RESET).map_or(end, |at| end + at + RESET.len());
    }
    end
}

/// Without colours.
fn plain(out: &mut Vec<u8>, mut head: &str) {
    while let Some(at) = head.find("\x1b[") {
        out.extend_from_slice(&head.as_bytes()[..at]);
        head = head[at..].split_once('m').map_or("", |(_, rest)| rest);
    }
    out.extend_from_slice(head.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Viewer = Viewer { terminal: true, color: true };
    const FILE: Viewer = Viewer { terminal: false, color: false };

    fn show(viewer: Viewer, line: &str) -> String {
        String::from_utf8(viewer.show(line)).unwrap()
    }

    #[test]
    fn a_terminal_gets_our_colours_and_no_command_of_a_child() {
        let painted = "\x1b[2mTS\x1b[0m \x1b[36ma           |\x1b[0m ";
        assert_eq!(show(TERMINAL, &format!("{painted}x\x1b[2J")), format!("{painted}x\\x1b[2J"));
        let ours = "\x1b[2mTS\x1b[0m \x1b[0mappliance   |\x1b[0m \x1b[33mWARN\x1b[0m ";
        assert_eq!(show(TERMINAL, &format!("{ours}x")), format!("{ours}x"));
        assert_eq!(
            show(TERMINAL, "TS a           | \x1b]0;x\x07"),
            "TS a           | \\x1b]0;x\\x07"
        );
        let forged = format!("TS a           | {ours}");
        assert!(!show(TERMINAL, &forged).contains('\x1b'));
    }

    #[test]
    fn a_file_gets_the_text_as_it_was_written() {
        let ours = "\x1b[2mTS\x1b[0m \x1b[0mappliance   |\x1b[0m \x1b[33mWARN\x1b[0m x";
        assert_eq!(show(FILE, ours), "TS appliance   | WARN x");
        assert_eq!(show(FILE, "TS a           | \x1b[1mbold"), "TS a           | \x1b[1mbold");
        assert_eq!(show(FILE, "{\"ts\":\"x\"}"), "{\"ts\":\"x\"}");
        assert_eq!(show(Viewer::new(Color::Always, false), ours), ours);
    }
}
