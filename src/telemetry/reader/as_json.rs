//! A kept line of an app as an object of the JSON log, also while the log is written as text.
//!
//! A text line has no stream, so neither has its object.

use super::viewer::Viewer;
use crate::config::Color;
use crate::telemetry::child_json::child_json;
use crate::telemetry::escape;
use crate::telemetry::lines::{Line, More};

/// The object, on one line. A line that is none of an app, such as the note about lost lines, has only a
/// `msg`.
pub(crate) fn as_json(line: &str) -> String {
    if line.starts_with('{') {
        return line.to_owned();
    }
    let plain = Viewer::new(Color::Never, false).show(line);
    let plain = String::from_utf8_lossy(&plain);
    let mut out = Vec::with_capacity(plain.len() + 64);
    if let Some((ts, app, text)) = parts(&plain) {
        out.extend_from_slice(br#"{"ts":"#);
        escape::json_string(&mut out, ts.as_bytes());
        out.extend_from_slice(br#","app":"#);
        escape::json_string(&mut out, app.as_bytes());
        child_json(&mut out, Line { text: text.as_bytes(), continued: false, more: More::No });
    } else {
        out.extend_from_slice(br#"{"msg":"#);
        escape::json_string(&mut out, plain.as_bytes());
        out.push(b'}');
    }
    String::from_utf8_lossy(out.trim_ascii_end()).into_owned()
}

/// Time, app and text of a text line. The name of an app contains neither blanks nor `|`.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (ts, rest) = line.split_once(' ')?;
    let (app, text) = rest.split_once('|')?;
    let app = app.trim_end();
    let is_head = ts.ends_with('Z') && !app.is_empty() && !app.contains(' ');
    is_head.then(|| (ts, app, text.strip_prefix(' ').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(line: &str) -> Value {
        let text = as_json(line);
        assert!(!text.contains(['\n', '\r']), "{text:?}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_text_line_becomes_an_object() {
        let ts = "2026-11-24T10:00:00.123Z";
        for (text, wanted) in [
            ("hello | \"x\"", json!({"ts": ts, "app": "app1", "msg": "hello | \"x\""})),
            ("", json!({"ts": ts, "app": "app1", "msg": ""})),
            (
                r#"{"msg":"hi","app":"b"}"#,
                json!({"ts": ts, "app": "app1", "msg": "hi", "data": {"msg": "hi", "app": "b"}}),
            ),
            (
                "2026-11-24T10:00:00.123Z other | forged",
                json!({"ts": ts, "app": "app1", "msg": "2026-11-24T10:00:00.123Z other | forged"}),
            ),
        ] {
            assert_eq!(object(&format!("{ts} app1        | {text}")), wanted, "{text}");
            let painted = format!("\x1b[2m{ts}\x1b[0m \x1b[36mapp1        |\x1b[0m {text}");
            assert_eq!(object(&painted), wanted, "{text} in colours");
        }
        let web = object(&format!("{ts} web.1       | x\x1b[2J"));
        assert_eq!((&web["app"], &web["msg"]), (&json!("web.1"), &json!("x\u{1b}[2J")));
    }

    #[test]
    fn an_object_and_a_note_stay_what_they_are() {
        let line = r#"{"ts":"x","app":"a","stream":"stdout","msg":"hi"}"#;
        assert_eq!(as_json(line), line);
        assert_eq!(object("[lines are missing here]"), json!({"msg": "[lines are missing here]"}));
    }
}
