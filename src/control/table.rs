//! The table that `status` prints: for a terminal in colours and not wider than it, else whole.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::age::age;
use super::protocol::{AppState, LastExit, Status};
use crate::supervisor::amount;

/// The columns, and the order in which they give way on a narrow terminal: the highest number first, 0
/// never.
const COLUMNS: [(&str, u8); 11] = [
    ("NAME", 0),
    ("STATE", 0),
    ("SINCE", 1),
    ("RESTARTS", 4),
    ("MEMORY", 2),
    ("CPU", 5),
    ("PEOPLE", 3),
    ("LAST EXIT", 6),
    ("PID", 9),
    ("PORT", 8),
    ("PATH", 7),
];
const NAME: usize = 0;
const STATE: usize = 1;
const REASON: &str = "REASON";
const GAP: &str = "  ";
/// Before a reason on a line of its own.
const INDENT: &str = "    ";

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// How the table is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Width of the terminal; `None` is no limit.
    pub(super) width: Option<usize>,
    pub(super) color: bool,
    pub(super) now: Timestamp,
}

/// One line for each app, and lines about the appliance and the issuer if something is not as usual.
/// `clean` makes text of an app or the issuer safe for the output.
pub(super) fn table(status: &Status, look: Look, clean: impl Fn(&str) -> String) -> String {
    let rows: Vec<Row> = status.apps.iter().map(|app| Row::of(app, look.now, &clean)).collect();
    let mut text = String::new();
    let beside = rows.iter().map(|row| row.reason.chars().count()).max().unwrap_or(0);
    let beside = if beside > 0 { beside.max(REASON.len()) + GAP.len() } else { 0 };
    let whole = Layout::all(&rows);
    let fits = look.width.is_none_or(|width| whole.width() + beside <= width);
    let layout = if fits { whole } else { whole.within(look.width.unwrap_or(usize::MAX)) };
    let reason = if fits && beside > 0 { REASON } else { "" };
    layout.heading(&mut text, reason, look);
    for row in &rows {
        layout.line(&mut text, row, fits, look);
        if !fits && !row.reason.is_empty() {
            for line in wrapped(&row.reason, look.width.unwrap_or(usize::MAX)) {
                let _ = writeln!(text, "{}", paint(look, DIM, &format!("{INDENT}{line}")));
            }
        }
    }
    notes(&mut text, status, look, clean);
    text
}

/// The cells of an app.
struct Row {
    cells: [String; COLUMNS.len()],
    /// On one line; empty without a reason.
    reason: String,
}

impl Row {
    fn of(app: &AppState, now: Timestamp, clean: impl Fn(&str) -> String) -> Self {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let reason = app.reason.as_deref().unwrap_or_default();
        let cells = [
            app.name.clone(),
            app.state.clone(),
            age(&app.since, now),
            app.restarts.to_string(),
            or_dash(app.memory_bytes.map(amount)),
            or_dash(app.cpu_percent.map(|percent| format!("{percent:.0} %"))),
            or_dash(app.users.map(|users| users.to_string())),
            or_dash(app.last_exit.as_ref().map(LastExit::to_string)),
            or_dash(app.pid.map(|pid| pid.to_string())),
            or_dash(app.port.map(|port| port.to_string())),
            or_dash(app.path.clone()),
        ];
        Self { cells, reason: clean(&reason.split_whitespace().collect::<Vec<_>>().join(" ")) }
    }
}

/// The columns that are shown, with their widths.
struct Layout(Vec<(usize, usize)>);

impl Layout {
    fn all(rows: &[Row]) -> Self {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row.cells[column].chars().count());
            cells.chain([COLUMNS[column].0.len()]).max().unwrap_or(0)
        };
        Self((0..COLUMNS.len()).map(|column| (column, width(column))).collect())
    }

    fn width(&self) -> usize {
        let widths = self.0.iter().map(|(_, width)| width + GAP.len());
        widths.sum::<usize>().saturating_sub(GAP.len())
    }

    /// Without the columns that give way first.
    fn within(mut self, width: usize) -> Self {
        while self.width() > width {
            let last = self.0.iter().max_by_key(|(column, _)| COLUMNS[*column].1);
            let Some(&(column, _)) = last.filter(|(column, _)| COLUMNS[*column].1 > 0) else {
                break;
            };
            self.0.retain(|(other, _)| *other != column);
        }
        self
    }

    fn heading(&self, text: &mut String, reason: &str, look: Look) {
        let cells = self.0.iter().map(|(column, width)| format!("{:width$}", COLUMNS[*column].0));
        let line = cells.chain([reason.to_owned()]).collect::<Vec<_>>().join(GAP);
        let _ = writeln!(text, "{}", paint(look, BOLD, line.trim_end()));
    }

    fn line(&self, text: &mut String, row: &Row, with_reason: bool, look: Look) {
        let cells = self.0.iter().map(|(column, width)| {
            let cell = format!("{:width$}", row.cells[*column]);
            match *column {
                NAME => paint(look, BOLD, &cell),
                STATE => paint(look, color_of(&row.cells[STATE]), &cell),
                _ => cell,
            }
        });
        let reason = if with_reason { row.reason.clone() } else { String::new() };
        let line = cells.chain([reason]).collect::<Vec<_>>().join(GAP);
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn color_of(state: &str) -> &'static str {
    match state {
        "ready" | "finished" => GREEN,
        "failed" => RED,
        "stopped" | "waiting" => DIM,
        _ => YELLOW,
    }
}

fn paint(look: Look, color: &str, text: &str) -> String {
    if look.color { format!("{color}{text}{RESET}") } else { text.to_owned() }
}

/// Breaks a reason at its spaces; a word that is too long stays whole.
fn wrapped(reason: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in reason.split(' ') {
        match lines.last_mut() {
            Some(line)
                if INDENT.len() + line.chars().count() + 1 + word.chars().count() <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn notes(text: &mut String, status: &Status, look: Look, clean: impl Fn(&str) -> String) {
    let mut note = |line: &str| {
        let _ = writeln!(text, "\n{}", paint(look, YELLOW, line));
    };
    if status.state != "running" {
        note(&format!("the appliance is {}", status.state));
    }
    if let Some(since) = &status.file_differs_since {
        note(&format!(
            "the configuration file has changed since {since}: `appliance reload` puts it in force"
        ));
    }
    if let Some(issuer) = &status.issuer
        && let Some(reason) = &issuer.reason
    {
        note(&format!("the issuer is {}: {}", issuer.state, clean(reason)));
    }
}

#[cfg(test)]
#[path = "../../tests/unit/control/table.rs"]
mod tests;
