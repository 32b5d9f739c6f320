//! The canonical path: the one spelling that routing, policy, the log and the app use.

use std::borrow::Cow;

use crate::proxy::answer::refusal::Refusal;

/// The canonical spelling of a path: unreserved characters are not escaped, and all other escapes
/// are in upper case (RFC 3986 section 6.2.2). A canonical path is returned unchanged.
///
/// # Errors
///
/// The path is ambiguous: app servers read it in different ways.
pub(super) fn canonical(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let path = if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Refusal::Malformed("the request target is not a path"));
    };
    if rest.bytes().any(|b| b <= b' ' || b >= 0x7f || matches!(b, b'\\' | b';' | b'#')) {
        return Err(Refusal::Malformed("a character in the path is not allowed"));
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(Refusal::Malformed("the path has a dot segment")),
            "" if segments.peek().is_some() => {
                return Err(Refusal::Malformed("the path has an empty segment"));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn unescape(path: &str) -> Result<String, Refusal> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut bytes = path.bytes();
    let mut text = String::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            // The caller refuses every byte beyond ASCII, so one replacement stands for all.
            text.push(if byte.is_ascii() { char::from(byte) } else { '\u{80}' });
            continue;
        }
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return Err(Refusal::Malformed("the path has an invalid percent escape"));
        };
        match high << 4 | low {
            b'/' | b'\\' | b';' | 0x00..=0x1f | 0x7f => {
                return Err(Refusal::Malformed("an escape in the path is not allowed"));
            }
            plain @ (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                text.push(char::from(plain));
            }
            kept => text.extend([
                '%',
                char::from(HEX[usize::from(kept >> 4)]),
                char::from(HEX[usize::from(kept & 15)]),
            ]),
        }
    }
    Ok(text)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Option<String> {
        canonical(path).ok().map(Cow::into_owned)
    }

    #[test]
    fn every_spelling_of_a_path_becomes_the_canonical_one() {
        for (from, to) in [
            ("/", "/"),
            ("/app1/", "/app1/"),
            ("/%61pp1", "/app1"),
            ("/a%7eb%2D", "/a~b-"),
            ("/a%20b", "/a%20b"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/x...", "/x..."),
            ("/a[1]^|'", "/a[1]^|'"),
        ] {
            assert_eq!(path(from).as_deref(), Some(to), "{from}");
        }
        assert!(matches!(canonical("/plain/path"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for bad in [
            "",
            "x",
            "/a/../b",
            "/..",
            "/.",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2E",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%00",
            "/%0a",
            "/a;b",
            "/a%3bb",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/%zz",
            "/%",
            "/%4",
            "/%u002e",
            "/é",
            "/a\u{7f}",
            "/a b",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
