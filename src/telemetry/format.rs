//! What a line of the log looks like.
//!
//! Text: `2026-11-24T10:00:00.123Z app1        | the child's own line`. JSON: one object a line,
//! with `ts`, `app`, `stream` (children) or `level` (ours), `msg`; an object that a child wrote
//! stands under `data`, where it cannot replace a field of ours.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tracing::Level;

use super::escape;
use super::lines::{Line, More};
use crate::config::{Color, Log, LogFormat};

/// The name under which the appliance itself speaks.
pub const OURSELVES: &str = "appliance";

/// A child's object that nests deeper stays text: it could be too deep for who reads the log.
const DEEPEST: usize = 64;

pub(super) const RESET: &str = "\x1b[0m";
pub(super) const DIM: &str = "\x1b[2m";
/// Cyan, green, magenta, blue and their bright forms: all readable on light and on dark.
const PALETTE: [&str; 8] = [
    "\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m",
];

/// Which of a child's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// The form of the whole log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) json: bool,
    color: bool,
    escape: bool,
}

impl Format {
    /// `terminal`: whether stdout is one.
    pub(super) fn new(config: &Log, terminal: bool) -> Self {
        let json = config.format == LogFormat::Json;
        let color = match config.color {
            Color::Auto => terminal,
            Color::Always => true,
            Color::Never => false,
        };
        Self { json, color: color && !json, escape: terminal && !json }
    }

    /// What every line of one block of a child's output begins with.
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

    /// Begins a line of our own, about `app` where it is an access line.
    pub(super) fn entry(self, app: &str, level: Level, msg: &str) -> Entry {
        let mut out = Vec::with_capacity(256);
        if self.json {
            escape::put(&mut out, format_args!(r#"{{"ts":"{}","app":"#, now()));
            escape::json_string(&mut out, app.as_bytes());
            let level = word(level);
            escape::put(&mut out, format_args!(r#","level":"{level}","msg":"#));
            escape::json_string(&mut out, msg.as_bytes());
        } else {
            self.head(&mut out, OURSELVES);
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
        let hue = if app == OURSELVES { RESET } else { hue(app) };
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

/// A line of our own in the making.
#[derive(Debug)]
pub(super) struct Entry {
    out: Vec<u8>,
    pub(super) json: bool,
}

impl Entry {
    /// Adds a field with a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if self.json {
            escape::json_string(&mut self.out, value.as_bytes());
        } else {
            escape::value(&mut self.out, value);
        }
    }

    /// Adds a field with a number or a truth value: what needs no quotes in JSON.
    pub(super) fn bare(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        escape::put(&mut self.out, format_args!("{value}"));
    }

    /// The whole line.
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

fn child_json(out: &mut Vec<u8>, line: Line<'_>) {
    let own = (!line.continued && line.more == More::No).then(|| own_object(line.text)).flatten();
    out.extend_from_slice(br#","msg":"#);
    if let Some((object, message)) = own {
        escape::json_string(out, message.as_bytes());
        out.extend_from_slice(br#","data":"#);
        escape::json_verbatim(out, object);
    } else {
        escape::json_string(out, line.text);
        if line.more != More::No {
            out.extend_from_slice(br#","partial":true"#);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// The line as a JSON object of the child's own, and the message that it carries.
fn own_object(line: &[u8]) -> Option<(&str, String)> {
    #[derive(Deserialize)]
    struct Said {
        msg: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
    }
    if line.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let object = std::str::from_utf8(line).ok()?.trim_ascii();
    if depth(object) > DEEPEST {
        return None;
    }
    // A name given twice is no error of JSON, only of this way to look for the message.
    let said = serde_json::from_str::<Said>(object);
    if said.is_err() {
        serde_json::from_str::<IgnoredAny>(object).ok()?;
    }
    let message = said.ok().and_then(|said| match said.msg.or(said.message) {
        Some(serde_json::Value::String(message)) => Some(message),
        _ => None,
    });
    Some((object, message.unwrap_or_default()))
}

/// How deep a text nests, if it is JSON.
fn depth(json: &str) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
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

/// A colour that an app keeps from start to start.
fn hue(app: &str) -> &'static str {
    let sum = app.bytes().fold(0_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    PALETTE[sum % PALETTE.len()]
}

fn now() -> impl fmt::Display {
    rfc3339(SystemTime::now())
}

/// A time as RFC 3339 in UTC with milliseconds, as it stands in the log and in `status`.
pub fn rfc3339(at: SystemTime) -> impl fmt::Display {
    struct Stamp(time::OffsetDateTime);
    impl fmt::Display for Stamp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let ((year, month, day), (hour, minute, second, milli)) =
                (self.0.to_calendar_date(), self.0.to_hms_milli());
            let month = u8::from(month);
            write!(f, "{year:04}-{month:02}-{day:02}T")?;
            write!(f, "{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
        }
    }
    Stamp(at.into())
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

    fn json(text: &[u8]) -> serde_json::Value {
        serde_json::from_str(&line(JSON, text, false, More::No)).unwrap()
    }

    #[test]
    fn text_has_time_name_and_line() {
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
    fn json_names_the_stream_and_marks_pieces() {
        let value = json(b"hello \xff\x1b");
        assert_eq!(value["app"], "app1");
        assert_eq!(value["stream"], "stderr");
        assert_eq!(value["msg"], "hello \u{fffd}\u{1b}");
        assert!(value.get("partial").is_none());
        let piece: serde_json::Value =
            serde_json::from_str(&line(JSON, b"{\"a\":1}", false, More::Cut)).unwrap();
        assert_eq!(piece["partial"], true);
        assert!(piece.get("data").is_none());
    }

    #[test]
    fn an_object_of_the_child_is_embedded_and_replaces_nothing() {
        let value = json(br#" {"app":"appliance","ts":"x","msg":"hi","n":{"a":[1,2.5,null]}} "#);
        assert_eq!(value["app"], "app1");
        assert_eq!(value["msg"], "hi");
        assert_eq!(value["data"]["n"]["a"][1], 2.5);
        assert_eq!(value["data"]["app"], "appliance");
        assert_eq!(json(br#"{"a":1,"a":2,"msg":7}"#)["msg"], "");
        assert_eq!(json(br#"{"msg":"a","msg":"b"}"#)["data"]["msg"], "b");
    }

    #[test]
    fn what_only_looks_like_an_object_stays_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in ["{\"broken\": ", "[1, 2]", "{\"a\": 1} trailing", "\"text\"", "42", &deep] {
            let value = json(text.as_bytes());
            assert_eq!(value["msg"], text);
            assert!(value.get("data").is_none(), "{text}");
        }
    }

    #[test]
    fn our_own_lines_cannot_be_forged_by_their_values() {
        let entry = |format: Format| {
            let mut entry = format.entry(OURSELVES, Level::WARN, "bad\nmessage");
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
