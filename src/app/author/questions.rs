//! Questions to the person at the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Asks, if there is a person to ask; otherwise, and for an empty answer, the default.
pub(super) fn ask(question: &str, default: &str) -> String {
    let (input, mut output) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !output.is_terminal() {
        return default.to_owned();
    }
    let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    let _ = write!(output, "{question}{shown}: ").and_then(|()| output.flush());
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    let answer = line.trim();
    if read.is_err() || answer.is_empty() { default.to_owned() } else { answer.to_owned() }
}
