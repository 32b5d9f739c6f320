//! The path of a request: its grammar, and its decoded form.
//!
//! An ambiguous path is refused, never repaired. The app receives an admitted path byte for byte;
//! routing and policy use its decoded form.

use http::uri::PathAndQuery;

use crate::proxy::answer::refusal::Refusal;

/// A path without dot segments, empty segments, and escaped slashes or control characters.
#[derive(Debug, Clone)]
pub(crate) struct AdmittedPath {
    sent: PathAndQuery,
    /// `None` if the path has no escapes.
    decoded: Option<Box<[u8]>>,
}

impl AdmittedPath {
    /// Checks the path of a request target.
    ///
    /// # Errors
    ///
    /// The path is ambiguous: app servers read it in different ways.
    pub(crate) fn new(sent: PathAndQuery) -> Result<Self, Refusal> {
        let decoded = decode(sent.path())?.map(Vec::into_boxed_slice);
        Ok(Self { sent, decoded })
    }

    /// The path and the query as sent.
    pub(crate) fn sent(&self) -> &PathAndQuery {
        &self.sent
    }

    /// Whether the path has escapes.
    pub(crate) fn has_escapes(&self) -> bool {
        self.decoded.is_some()
    }

    /// The path with all escapes decoded. It has as many segments as the path as sent.
    pub(crate) fn decoded(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(self.sent.path().as_bytes())
    }
}

/// The decoded path; `None` if it has no escapes.
fn decode(path: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("the request target is not a path"));
    }
    if path.bytes().any(|b| b <= b' ' || b >= 0x7f || matches!(b, b'\\' | b';' | b'#')) {
        return Err(Refusal::Malformed("a character in the path is not allowed"));
    }
    let decoded = if path.contains('%') { Some(unescape(path)?) } else { None };
    let mut segments = decoded.as_deref().unwrap_or(path.as_bytes())[1..].split(|&b| b == b'/');
    let mut next = segments.next();
    while let Some(segment) = next {
        next = segments.next();
        match segment {
            b"." | b".." => return Err(Refusal::Malformed("the path has a dot segment")),
            b"" if next.is_some() => {
                return Err(Refusal::Malformed("the path has an empty segment"));
            }
            _ => {}
        }
    }
    Ok(decoded)
}

fn unescape(path: &str) -> Result<Vec<u8>, Refusal> {
    let mut bytes = path.bytes();
    let mut text = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return Err(Refusal::Malformed("the path has an invalid percent escape"));
        };
        match high << 4 | low {
            b'/' | b'\\' | b';' | 0x00..=0x1f | 0x7f => {
                return Err(Refusal::Malformed("an escape in the path is not allowed"));
            }
            byte => text.push(byte),
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

    #[test]
    fn all_escapes_are_decoded() {
        for (from, to) in [
            ("/", None),
            ("/app1/", None),
            ("/x...", None),
            ("/a[1]^|'", None),
            ("/%61pp1", Some("/app1")),
            ("/a%7eb%2D", Some("/a~b-")),
            ("/a%20b", Some("/a b")),
            ("/%c3%A9", Some("/é")),
            ("/Special%3ax%40%3D%2c", Some("/Special:x@=,")),
            ("/what%3F%23", Some("/what?#")),
            ("/%252e%252e/x", Some("/%2e%2e/x")),
        ] {
            let decoded = decode(from).unwrap_or_else(|why| panic!("{from} {why:?}"));
            assert_eq!(decoded.as_deref(), to.map(str::as_bytes), "{from}");
        }
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
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
