//! A line of a child in the JSON log: as text, or embedded if it is a JSON object.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::escape;
use super::lines::{Line, More};

/// An object with deeper nesting stays text: a reader of the log might not accept it.
const DEEPEST: usize = 64;

pub(super) fn child_json(out: &mut Vec<u8>, line: Line<'_>) {
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

/// The line as a JSON object, and the message in it.
fn own_object(line: &[u8]) -> Option<(&str, String)> {
    #[derive(Deserialize)]
    struct Messages {
        msg: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
    }
    if line.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let object = std::str::from_utf8(line).ok()?.trim_ascii();
    if depth(object) > DEEPEST || !has_whole_characters(object) {
        return None;
    }
    // A duplicate name is valid JSON, but serde refuses it when it looks for the message.
    let messages = serde_json::from_str::<Messages>(object);
    if messages.is_err() {
        serde_json::from_str::<IgnoredAny>(object).ok()?;
    }
    let message = messages.ok().and_then(|messages| match messages.msg.or(messages.message) {
        Some(serde_json::Value::String(message)) => Some(message),
        _ => None,
    });
    Some((object, message.unwrap_or_default()))
}

/// Whether each escaped half of a surrogate pair, as `\ud83d`, stands beside its other half. A half alone
/// is no character: the grammar of JSON allows it, but readers stop there (RFC 8259 section 8.2). If the
/// text is JSON.
fn has_whole_characters(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at..];
        let Some(unit) = escaped_unit(rest) else {
            // Another escape, as `\\` or `\n`: one byte follows.
            rest = rest.get(2..).unwrap_or_default();
            continue;
        };
        rest = &rest[6..];
        match unit {
            0xd800..=0xdbff => {
                if !matches!(escaped_unit(rest), Some(0xdc00..=0xdfff)) {
                    return false;
                }
                rest = &rest[6..];
            }
            0xdc00..=0xdfff => return false,
            _ => {}
        }
    }
    true
}

/// The UTF-16 unit of an escape `\uXXXX` at the beginning.
fn escaped_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Depth of the nesting, if the text is JSON.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, Log, LogFormat};
    use crate::telemetry::format::{Format, Stream};

    fn line(text: &[u8], more: More) -> serde_json::Value {
        let (format, level, color) = (LogFormat::Json, String::new(), Color::Never);
        let format = Format::new(&Log { format, level, access: true, color }, false);
        let mut out = Vec::new();
        let prefix = format.child_prefix("app1", Stream::Stderr);
        format.child_line(&mut out, &prefix, Line { text, continued: false, more });
        serde_json::from_slice(&out).unwrap()
    }

    fn json(text: &[u8]) -> serde_json::Value {
        line(text, More::No)
    }

    #[test]
    fn json_names_the_stream_and_marks_pieces() {
        let value = json(b"hello \xff\x1b");
        assert_eq!(value["app"], "app1");
        assert_eq!(value["stream"], "stderr");
        assert_eq!(value["msg"], "hello \u{fffd}\u{1b}");
        assert!(value.get("partial").is_none());
        let piece = line(b"{\"a\":1}", More::Cut);
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
    fn half_of_a_surrogate_pair_stays_text() {
        let bad = [
            r#"{"a":"\ud800"}"#,
            r#"{"\uDBFF":1}"#,
            r#"{"a":"\udc00"}"#,
            r#"{"a":"\ud800x"}"#,
            r#"{"a":"\ud83d\n\ude00"}"#,
            r#"{"a":"\ud83d\ud83d\ude00"}"#,
            r#"{"a":"\\\ud800"}"#,
        ];
        for text in bad {
            let value = json(text.as_bytes());
            assert_eq!(value["msg"], text);
            assert!(value.get("data").is_none(), "{text}");
        }
        let good = r#"{"a":"\ud83d\ude00 \u00e4 \\ud800 \" 😀","n":"\uD83D\uDE00"}"#;
        let value = json(good.as_bytes());
        assert_eq!(value["data"]["a"], "😀 ä \\ud800 \" 😀");
        assert_eq!(value["data"]["n"], "😀");
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
}
