//! How `appliance logs` shows a stored line. The command may run on a terminal while the
//! appliance's stdout is a file, and the other way round.

use crate::config::Color;
use crate::telemetry::escape;
use crate::telemetry::format::{APPLIANCE, DIM, RESET};

/// Where `appliance logs` writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The output is a terminal: escape sequences of children are escaped.
    pub terminal: bool,
    /// Keep the colours of the line.
    pub color: bool,
}

impl Viewer {
    /// `color` is the value of `[log] color`.
    pub fn new(color: Color, terminal: bool) -> Self {
        let color = match color {
            Color::Auto => terminal,
            Color::Always => true,
            Color::Never => false,
        };
        Self { terminal, color }
    }

    /// The line as it is shown, without its line end.
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

/// Length of the appliance's prefix in a coloured line; 0 in a line without colours.
fn head(line: &str) -> usize {
    const BORDER: &str = "|\x1b[0m ";
    let border = line.starts_with(DIM).then(|| line.find(BORDER)).flatten();
    let Some(end) = border.map(|at| at + BORDER.len()) else { return 0 };
    let (head, text) = line.split_at(end);
    if is_of_the_appliance(head) && text.starts_with("\x1b[") {
        return text.find(RESET).map_or(end, |at| end + at + RESET.len());
    }
    end
}

/// Whether the painted name is that of the appliance. The name of an app may contain it.
fn is_of_the_appliance(head: &str) -> bool {
    let name = head.rsplit_once('|').and_then(|(before, _)| before.rsplit_once('m'));
    name.is_some_and(|(_, name)| name.trim_end() == APPLIANCE)
}

/// Removes colours.
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
    fn a_terminal_gets_colours_but_no_escape_sequence_of_a_child() {
        let painted = "\x1b[2mTS\x1b[0m \x1b[36ma           |\x1b[0m ";
        assert_eq!(show(TERMINAL, &format!("{painted}x\x1b[2J")), format!("{painted}x\\x1b[2J"));
        let own = "\x1b[2mTS\x1b[0m \x1b[0mappliance   |\x1b[0m \x1b[33mWARN\x1b[0m ";
        assert_eq!(show(TERMINAL, &format!("{own}x")), format!("{own}x"));
        assert_eq!(
            show(TERMINAL, "TS a           | \x1b]0;x\x07"),
            "TS a           | \\x1b]0;x\\x07"
        );
        let child = "\x1b[2mTS\x1b[0m \x1b[36mmy-appliance |\x1b[0m \x1b[2J\x1b[0m";
        assert!(!show(TERMINAL, child).contains("\x1b[2J"), "an app whose name ends like ours");
        let forged = format!("TS a           | {own}");
        assert!(!show(TERMINAL, &forged).contains('\x1b'));
    }

    #[test]
    fn a_file_gets_the_text_as_it_was_written() {
        let own = "\x1b[2mTS\x1b[0m \x1b[0mappliance   |\x1b[0m \x1b[33mWARN\x1b[0m x";
        assert_eq!(show(FILE, own), "TS appliance   | WARN x");
        assert_eq!(show(FILE, "TS a           | \x1b[1mbold"), "TS a           | \x1b[1mbold");
        assert_eq!(show(FILE, "{\"ts\":\"x\"}"), "{\"ts\":\"x\"}");
        assert_eq!(show(Viewer::new(Color::Always, false), own), own);
    }
}
