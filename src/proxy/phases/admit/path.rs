//! The path of a request: its grammar, and its decoded form.
//!
//! An ambiguous path is refused, never repaired, unless its app has `raw_path`. The app receives an admitted path byte for byte;
//! routing and policy use its decoded form.

use std::rc::Rc;

use http::uri::PathAndQuery;

use super::lenient::LenientPath;
use super::readings;
use crate::proxy::answer::path_fault::PathFault;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::detached;

/// A path without dot segments and control characters.
#[derive(Debug, Clone)]
pub(crate) struct AdmittedPath {
    sent: PathAndQuery,
    /// `None` if the path has no escapes.
    decoded: Option<Box<[u8]>>,
    /// `None` if all servers read the path in the same way.
    ambiguous: Option<Rc<Ambiguous>>,
}

/// A path that only apps with `raw_path` get.
#[derive(Debug)]
pub(crate) struct Ambiguous {
    /// The first part that servers read in different ways.
    pub fault: PathFault,
    /// The path as the servers read it.
    pub lenient: LenientPath,
}

impl AdmittedPath {
    /// Checks the path of a request target.
    ///
    /// # Errors
    ///
    /// No app gets such a path.
    pub(crate) fn new(sent: PathAndQuery) -> Result<Self, Refusal> {
        let (decoded, fault) = decode(sent.path())?;
        if decoded.as_deref().is_some_and(readings::is_escaped_too_often) {
            return Err(Refusal::Path(PathFault::Escapes));
        }
        let decoded = decoded.map(Vec::into_boxed_slice);
        let Some(fault) = fault else { return Ok(Self { sent, decoded, ambiguous: None }) };
        let lenient = LenientPath::new(sent.path());
        if lenient.has_dots() {
            return Err(Refusal::Path(PathFault::Dots));
        }
        Ok(Self { sent, decoded, ambiguous: Some(Rc::new(Ambiguous { fault, lenient })) })
    }

    /// A copy that does not point into the read buffer of the request.
    pub(crate) fn detached(&self) -> Self {
        Self { sent: detached::target(&self.sent), ..self.clone() }
    }

    /// What makes the path ambiguous.
    pub(crate) fn ambiguous(&self) -> Option<&Ambiguous> {
        self.ambiguous.as_deref()
    }

    /// The path and the query as sent.
    pub(crate) fn sent(&self) -> &PathAndQuery {
        &self.sent
    }

    /// Whether the path has escapes.
    pub(crate) fn has_escapes(&self) -> bool {
        self.decoded.is_some()
    }

    /// The path with its escapes decoded, except `%2F`, which is no separator here. The decoded path
    /// has as many segments as the path as sent.
    pub(crate) fn decoded(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(self.sent.path().as_bytes())
    }
}

/// The decoded path, `None` if it has no escapes; and the first part that only apps with `raw_path`
/// get.
fn decode(path: &str) -> Result<(Option<Vec<u8>>, Option<PathFault>), Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("the request target is not a path"));
    }
    if let Some(byte) = path.bytes().find(|&b| b <= b' ' || b >= 0x7f || matches!(b, b'\\' | b'#'))
    {
        return Err(Refusal::Path(PathFault::Byte(byte)));
    }
    let mut fault = path.contains(';').then_some(PathFault::Semicolon);
    let decoded = if path.contains('%') { Some(unescape(path, &mut fault)?) } else { None };
    let mut segments = decoded.as_deref().unwrap_or(path.as_bytes())[1..].split(|&b| b == b'/');
    let mut next = segments.next();
    while let Some(segment) = next {
        next = segments.next();
        match segment {
            b"." | b".." => return Err(Refusal::Path(PathFault::Dots)),
            _ if readings::is_displaced(segment) => {
                return Err(Refusal::Path(PathFault::Displaced));
            }
            b"" if next.is_some() => fault = fault.or(Some(PathFault::EmptySegment)),
            _ => {}
        }
    }
    Ok((decoded, fault))
}

fn unescape(path: &str, fault: &mut Option<PathFault>) -> Result<Vec<u8>, Refusal> {
    let mut bytes = path.bytes();
    let mut text = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return Err(Refusal::Path(PathFault::Percent));
        };
        match high << 4 | low {
            byte @ (b'\\' | 0x00..=0x1f | 0x7f) => {
                return Err(Refusal::Path(PathFault::Escape(byte)));
            }
            b'/' => {
                *fault = fault.or(Some(PathFault::EscapedSlash));
                text.extend_from_slice(b"%2F");
            }
            byte => {
                if byte == b';' {
                    *fault = fault.or(Some(PathFault::EscapedSemicolon));
                }
                text.push(byte);
            }
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
            let (decoded, fault) = decode(from).unwrap_or_else(|why| panic!("{from} {why:?}"));
            assert_eq!((decoded.as_deref(), fault), (to.map(str::as_bytes), None), "{from}");
        }
    }

    #[test]
    fn paths_that_no_app_gets_are_refused_with_their_fault() {
        use PathFault::{Byte, Dots, Escape, Percent};
        for (bad, wanted) in [
            ("/a/../b", Dots),
            ("/..", Dots),
            ("/.", Dots),
            ("/a/./b", Dots),
            ("/%2e%2e/x", Dots),
            ("/.%2E", Dots),
            ("/a;b/../c", Dots),
            ("/a%5cb", Escape(b'\\')),
            ("/a\\b", Byte(b'\\')),
            ("/%00", Escape(0)),
            ("/a;b%0a", Escape(b'\n')),
            ("/%zz", Percent),
            ("/%", Percent),
            ("/%4", Percent),
            ("/%u002e", Percent),
            ("/é", Byte(0xc3)),
            ("/a\u{7f}", Byte(0x7f)),
            ("/a b", Byte(b' ')),
        ] {
            let refused = decode(bad);
            assert!(
                matches!(refused, Err(Refusal::Path(fault)) if fault == wanted),
                "{bad} {refused:?}"
            );
        }
        assert!(decode("").is_err() && decode("x").is_err());
    }

    #[test]
    fn ambiguous_paths_are_told_apart() {
        use PathFault::{EmptySegment, EscapedSemicolon, EscapedSlash, Semicolon};
        for (path, decoded, wanted) in [
            ("/a%2fb%20c", Some("/a%2Fb c"), EscapedSlash),
            ("/a%2Fb", Some("/a%2Fb"), EscapedSlash),
            ("/a;b", None, Semicolon),
            ("/a%3bb", Some("/a;b"), EscapedSemicolon),
            ("//", None, EmptySegment),
            ("//a", None, EmptySegment),
            ("/a//b", None, EmptySegment),
            ("/a//", None, EmptySegment),
        ] {
            let (found, fault) = decode(path).unwrap_or_else(|why| panic!("{path} {why:?}"));
            assert_eq!(found.as_deref(), decoded.map(str::as_bytes), "{path}");
            assert_eq!(fault, Some(wanted), "{path}");
        }
    }
}
