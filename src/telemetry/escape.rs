//! Escapes text from children, clients and the issuer.
//!
//! The text stays within its own line and its own field: no line end, terminal sequence or quote
//! from such a text reaches the log unescaped.

use std::io::Write as _;

/// Appends a JSON string. In addition to what JSON requires, escapes characters that some readers
/// take for a line end (U+0085, U+2028, U+2029), for a terminal command (DEL, C1), or for a change
/// of the writing direction, which could disguise a name. Invalid UTF-8 becomes U+FFFD.
pub(super) fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // Fast path: most texts need no escape.
    if text.iter().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')) {
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let mut copied = 0;
        for (at, c) in valid.char_indices() {
            if !needs_json_escape(c) {
                continue;
            }
            out.extend_from_slice(&valid.as_bytes()[copied..at]);
            copied = at + c.len_utf8();
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                _ => put(out, format_args!("\\u{:04x}", u32::from(c))),
            }
        }
        out.extend_from_slice(&valid.as_bytes()[copied..]);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn needs_json_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}') || c.is_control() || turns(c)
}

/// Whether the character changes the writing direction (Unicode's `Bidi_Control`).
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Appends valid JSON unchanged, except for characters that some readers take for a line end:
/// whitespace between tokens becomes a space, and Unicode line ends within strings are escaped.
pub(super) fn json_verbatim(out: &mut Vec<u8>, object: &str) {
    let mut copied = 0;
    for (at, c) in object.char_indices() {
        if !matches!(c, '\r' | '\n' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        out.extend_from_slice(&object.as_bytes()[copied..at]);
        copied = at + c.len_utf8();
        if c.is_ascii_whitespace() {
            out.push(b' ');
        } else {
            put(out, format_args!("\\u{:04x}", u32::from(c)));
        }
    }
    out.extend_from_slice(&object.as_bytes()[copied..]);
}

/// Appends a child's text for a file or a pipe. All bytes stay the same except a carriage return,
/// which becomes `\r`: on a screen, it would let the rest of the line overwrite the prefix.
pub(super) fn plain(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\r', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\\r");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends text for a terminal: every control character except the tab, and every byte of invalid
/// UTF-8, is escaped.
pub(super) fn terminal(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let mut copied = 0;
        for (at, c) in valid.char_indices() {
            if c == '\t' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
                continue;
            }
            out.extend_from_slice(&valid.as_bytes()[copied..at]);
            copied = at + c.len_utf8();
            match c {
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                c if c.is_ascii() => put(out, format_args!("\\x{:02x}", u32::from(c))),
                c => put(out, format_args!("\\u{{{:x}}}", u32::from(c))),
            }
        }
        out.extend_from_slice(&valid.as_bytes()[copied..]);
        for byte in chunk.invalid() {
            put(out, format_args!("\\x{byte:02x}"));
        }
    }
}

/// Appends the value of a `name=value` pair, quoted if it would be ambiguous without quotes.
pub(super) fn value(out: &mut Vec<u8>, text: &str) {
    let bare = !text.is_empty()
        && text.chars().all(|c| {
            matches!(c, '!'..='~') && !matches!(c, '"' | '\\' | '=')
                || !c.is_ascii() && !c.is_whitespace() && !needs_json_escape(c)
        });
    if bare {
        out.extend_from_slice(text.as_bytes());
    } else {
        json_string(out, text.as_bytes());
    }
}

/// Formats into the buffer, which cannot fail.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(escape: fn(&mut Vec<u8>, &[u8]), text: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, text);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn json_strings_are_one_line_for_every_reader() {
        for (text, expected) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"1\n2\r3\t4", r#""1\n2\r3\t4""#),
            (b"\x1b[31m\x7f\0", r#""\u001b[31m\u007f\u0000""#),
            ("\u{85}\u{2028}\u{2029}\u{9b}é".as_bytes(), "\"\\u0085\\u2028\\u2029\\u009bé\""),
            ("a\u{202e}nimda\u{2066}".as_bytes(), "\"a\\u202enimda\\u2066\""),
            (b"a\xffb", "\"a\u{fffd}b\""),
            (b"", r#""""#),
        ] {
            assert_eq!(with(json_string, text), expected);
        }
    }

    #[test]
    fn a_lone_carriage_return_is_shown() {
        assert_eq!(with(plain, b"50%\rforged \x1b[1m"), "50%\\rforged \x1b[1m");
    }

    #[test]
    fn a_terminal_gets_no_command_from_a_child() {
        assert_eq!(with(terminal, b"a\tb\x1b]0;x\x07"), "a\tb\\x1b]0;x\\x07");
        assert_eq!(with(terminal, "\u{9b}31m é".as_bytes()), "\\u{9b}31m é");
        assert_eq!(with(terminal, b"\x9b31m"), "\\x9b31m");
    }

    #[test]
    fn embedded_objects_keep_their_meaning_and_lose_their_line_ends() {
        let mut out = Vec::new();
        json_verbatim(&mut out, "{\"a\":\r\"x\u{2028}y\"}");
        assert_eq!(out, b"{\"a\": \"x\\u2028y\"}");
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["a"], "x\u{2028}y");
    }

    #[test]
    fn values_are_quoted_when_they_could_be_mistaken() {
        for (text, expected) in [
            ("/a/b", "/a/b"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("\u{202e}", "\"\\u202e\""),
        ] {
            let mut out = Vec::new();
            value(&mut out, text);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
