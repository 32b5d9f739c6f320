//! The format of log lines.
//!
//! Text: `2026-11-24T10:00:00.123Z app1        | the child's line`. JSON: one object per line with
//! `ts`, `app`, `stream` (children) or `level` (the appliance's own lines), and `msg`. A JSON
//! object that a child wrote is embedded as `data`, where it cannot replace a field of the
//! appliance.

use tracing::Level;

use super::child_json::child_json;
use super::escape;
use super::lines::{Line, More};
use super::timestamp::now;
use crate::config::{Color, Log, LogFormat};

/// The app name in the appliance's own lines.
pub const APPLIANCE: &str = "appliance";

pub(super) const RESET: &str = "\x1b[0m";
pub(super) const DIM: &str = "\x1b[2m";
/// Cyan, green, magenta, blue and their bright forms, which are readable on light and dark
/// backgrounds.
const PALETTE: [&str; 8] = [
    "\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m",
];

/// One of the two outputs of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// The format of the whole log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) json: bool,
    color: bool,
    escape: bool,
}

impl Format {
    /// `terminal`: whether stdout is a terminal.
    pub(super) fn new(config: &Log, terminal: bool) -> Self {
        let json = config.format == LogFormat::Json;
        let color = match config.color {
            Color::Auto => terminal,
            Color::Always => true,
            Color::Never => false,
        };
        Self { json, color: color && !json, escape: terminal && !json }
    }

    /// The beginning of every line in one block of a child's output.
    pub(super) fn child_prefix(self, app: &str, stream: Stream) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        if self.json {
            let stream = if stream == Stream::Stdout { "stdout" } else { "stderr" };
            escape::put(&mut out, format_args!(r#"{{"ts":"{}","app":"#, now()));
            escape::json_string(&mut out, app.as_bytes());
            escape::put(&mut out, format_args!(r#","stream":"{stream}""#));
        } else {
            self.head(&mut out, app);
        }
        out
    }

    /// Appends one line of a child.
    pub(super) fn child_line(self, out: &mut Vec<u8>, prefix: &[u8], line: Line<'_>) {
        out.extend_from_slice(prefix);
        if self.json {
            child_json(out, line);
        } else {
            let (before, after) = (line.continued, line.more == More::Cut);
            out.extend_from_slice(if before { "…".as_bytes() } else { b"" });
            if self.escape {
                escape::terminal(out, line.text);
            } else {
                escape::plain(out, line.text);
            }
            out.extend_from_slice(if after { "…\n".as_bytes() } else { b"\n" });
        }
    }

    /// Begins one of the appliance's own lines; in an access line, `app` is the routed app.
    pub(super) fn entry(self, app: &str, level: Level, msg: &str) -> Entry {
        let mut out = Vec::with_capacity(256);
        if self.json {
            escape::put(&mut out, format_args!(r#"{{"ts":"{}","app":"#, now()));
            escape::json_string(&mut out, app.as_bytes());
            let level = word(level);
            escape::put(&mut out, format_args!(r#","level":"{level}","msg":"#));
            escape::json_string(&mut out, msg.as_bytes());
        } else {
            self.head(&mut out, APPLIANCE);
            if level != Level::INFO {
                let color = match level {
                    Level::ERROR => "\x1b[31m",
                    Level::WARN => "\x1b[33m",
                    _ => DIM,
                };
                self.paint(&mut out, color, format_args!("{level}"));
                out.push(b' ');
            }
            escape::terminal(&mut out, msg.as_bytes());
        }
        Entry { out, json: self.json }
    }

    fn head(self, out: &mut Vec<u8>, app: &str) {
        self.paint(out, DIM, format_args!("{}", now()));
        out.push(b' ');
        let hue = if app == APPLIANCE { RESET } else { hue(app) };
        self.paint(out, hue, format_args!("{app:<11} |"));
        out.push(b' ');
    }

    fn paint(self, out: &mut Vec<u8>, color: &str, text: std::fmt::Arguments<'_>) {
        if self.color {
            escape::put(out, format_args!("{color}{text}{RESET}"));
        } else {
            escape::put(out, text);
        }
    }
}

/// One of the appliance's own lines, being built.
#[derive(Debug)]
pub(super) struct Entry {
    out: Vec<u8>,
    pub(super) json: bool,
}

impl Entry {
    /// Adds a text field.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if self.json {
            escape::json_string(&mut self.out, value.as_bytes());
        } else {
            escape::value(&mut self.out, value);
        }
    }

    /// Adds a number or boolean field, which needs no quotes in JSON.
    pub(super) fn bare(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        escape::put(&mut self.out, format_args!("{value}"));
    }

    /// Ends the line.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(if self.json { b"}\n" } else { b"\n" });
        self.out
    }

    fn name(&mut self, name: &str) {
        if self.json {
            self.out.push(b',');
            escape::json_string(&mut self.out, name.as_bytes());
            self.out.push(b':');
        } else {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'=');
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The colour of an app, the same at every start.
fn hue(app: &str) -> &'static str {
    let sum = app.bytes().fold(0_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    PALETTE[sum % PALETTE.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Format = Format { json: false, color: false, escape: false };
    const JSON: Format = Format { json: true, color: false, escape: false };

    fn line(format: Format, text: &[u8], continued: bool, more: More) -> String {
        let mut out = Vec::new();
        let prefix = format.child_prefix("app1", Stream::Stderr);
        format.child_line(&mut out, &prefix, Line { text, continued, more });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_line_has_time_name_and_text() {
        let whole = line(TEXT, b"hello", false, More::No);
        assert_eq!(&whole[24..], " app1        | hello\n");
        assert!(whole.starts_with("20") && whole.as_bytes()[23] == b'Z', "{whole}");
        assert_eq!(&line(TEXT, b"b", true, More::Cut)[24..], " app1        | …b…\n");
        assert_eq!(&line(TEXT, b"b", false, More::Paused)[24..], " app1        | b\n");
    }

    #[test]
    fn colours_change_nothing_else() {
        let color = Format { color: true, escape: true, ..TEXT };
        let whole = line(color, b"hello", false, More::No);
        assert!(whole.starts_with(DIM) && whole.ends_with("app1        |\x1b[0m hello\n"));
    }

    #[test]
    fn field_values_cannot_forge_a_line_of_the_appliance() {
        let entry = |format: Format| {
            let mut entry = format.entry(APPLIANCE, Level::WARN, "bad\nmessage");
            entry.text("path", "/a\n2026 app1 | x");
            entry.bare("status", 200);
            String::from_utf8(entry.finish()).unwrap()
        };
        assert_eq!(
            &entry(TEXT)[24..],
            " appliance   | WARN bad\\nmessage path=\"/a\\n2026 app1 | x\" status=200\n"
        );
        let value: serde_json::Value = serde_json::from_str(&entry(JSON)).unwrap();
        assert_eq!((&value["level"], &value["status"]), (&"warn".into(), &200.into()));
    }
}
