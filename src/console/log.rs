//! The log of one app: its newest lines on the page, and all new ones as a stream.

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use serde::Deserialize;

use crate::telemetry::{LogHandle, Selection, as_json};

/// How many old lines a stream begins with.
const BEFORE: usize = 200;
/// How many lines the page shows, and how much of each.
const SHOWN: usize = 100;
const LONGEST: usize = 1000;

/// A line for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShownLine {
    /// Time of the day.
    pub(super) time: String,
    pub(super) text: String,
}

/// Old lines, then new ones without a gap, each as an object of the JSON log. Who reads too slowly loses
/// lines; memory is bounded.
pub(super) fn stream(log: &LogHandle, app: &str) -> BoxStream<'static, String> {
    let follower = log.follow(Selection::App(app.to_owned()), BEFORE);
    let next = async |mut follower: crate::telemetry::Follower| {
        let line = follower.next().await?;
        Some((as_json(&line), follower))
    };
    unfold(follower, next).boxed()
}

/// The newest lines of an app, the oldest first.
pub(super) fn newest(log: &LogHandle, app: &str) -> Vec<ShownLine> {
    let lines = log.tail(&Selection::App(app.to_owned()), SHOWN);
    lines.iter().map(|line| shown(&as_json(line))).collect()
}

fn shown(object: &str) -> ShownLine {
    #[derive(Deserialize)]
    struct Logged {
        #[serde(default)]
        ts: String,
        msg: String,
        data: Option<serde_json::Value>,
    }
    let Ok(line) = serde_json::from_str::<Logged>(object) else {
        return ShownLine { time: String::new(), text: clean(object) };
    };
    let text = match &line.data {
        // A line of JSON without a message of its own.
        Some(data) if line.msg.is_empty() => &data.to_string(),
        _ => &line.msg,
    };
    ShownLine { time: line.ts.get(11..19).unwrap_or_default().to_owned(), text: clean(text) }
}

/// The beginning of what an app has written, without what would change how other text is shown: control
/// characters, and the marks that reverse the direction of writing.
fn clean(text: &str) -> String {
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if hides(c) { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() && text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn hides(c: char) -> bool {
    c.is_control() && c != '\t'
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(object: &str) -> String {
        shown(object).text
    }

    #[test]
    fn a_line_is_shown_by_its_message_or_its_object() {
        let line = r#"{"ts":"2026-11-24T10:00:00.123Z","app":"a","msg":"hi"}"#;
        let wanted = ShownLine { time: "10:00:00".into(), text: "hi".into() };
        assert_eq!(shown(line), wanted);
        assert_eq!(text(r#"{"ts":"x","msg":"","data":{"a":1}}"#), r#"{"a":1}"#);
        assert_eq!(text(r#"{"ts":"x","msg":"m","data":{"msg":"m"}}"#), "m");
        assert_eq!(text("no object"), "no object");
    }

    #[test]
    fn nothing_of_an_app_hides_other_text() {
        assert_eq!(text(r#"{"msg":"a\u001b[2Jb\u202ec\td"}"#), "a\u{fffd}[2Jb\u{fffd}c\td");
        let long = text(&format!(r#"{{"msg":"{}"}}"#, "é".repeat(70_000)));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }
}
