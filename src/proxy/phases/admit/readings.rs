//! The paths that an app finds which parses the decoded path of a request once more.
//!
//! A router behind another router decodes escapes a second time, some proxies of apps decode until no
//! escape is left. What appears then may be a query, a parameter after `;`, or a dot segment, and an app
//! may or may not treat it as such. The readings are all combinations.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::percent_decode;

/// How often a decoded path may be decoded again until no escape is left.
const MAX_ROUNDS: usize = 3;

/// Whether the escapes of a decoded path are escaped so often that no reading can be told.
pub(super) fn is_escaped_too_often(decoded: &[u8]) -> bool {
    let mut text = decode(decoded);
    for _ in 0..MAX_ROUNDS {
        let Some(once) = text else { return false };
        text = decode(&once);
    }
    text.is_some()
}

/// The paths that a decoded path may become. The path itself is not among them.
pub(crate) fn again(decoded: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if !has_another_reading(decoded) {
        return found;
    }
    let mut text = decoded.to_vec();
    for _ in 0..=MAX_ROUNDS {
        for (has_query, has_parameters) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let path = read(&text, has_query, has_parameters);
            if path != decoded && !found.contains(&path) {
                found.push(path);
            }
        }
        let Some(next) = decode(&text) else { break };
        text = next;
    }
    found
}

/// Decodes escapes once; `None` if there are none.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'%') {
        return None;
    }
    let decoded: Vec<u8> = percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}

fn has_another_reading(decoded: &[u8]) -> bool {
    let mut segments = decoded.split(|&byte| byte == b'/').skip(1).peekable();
    decoded.iter().any(|byte| matches!(byte, b'%' | b'?' | b'#' | b';' | b'\\'))
        || std::iter::from_fn(|| segments.next().map(|one| (one, segments.peek().is_some())))
            .any(|(segment, more)| is_structure(&name(segment)) && (more || !segment.is_empty()))
}

/// The path after the removal of a query or parameters, and of dot segments.
fn read(text: &[u8], has_query: bool, has_parameters: bool) -> Vec<u8> {
    let is_end = |byte: &u8| has_query && matches!(byte, b'?' | b'#');
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in text[..end].split(|byte| matches!(byte, b'/' | b'\\')) {
        let is_end = |byte: &u8| has_parameters && *byte == b';';
        let end = segment.iter().position(is_end).unwrap_or(segment.len());
        match &*name(&segment[..end]) {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(&segment[..end]),
        }
    }
    let mut path = Vec::with_capacity(text.len() + 1);
    for segment in segments {
        path.push(b'/');
        path.extend(segment);
    }
    path
}

/// Whether a segment that is not ASCII is another place for a server that drops bytes which are not UTF-8, or
/// replaces letters by their plain form: nothing, a dot segment, or several segments.
pub(super) fn is_displaced(segment: &[u8]) -> bool {
    if segment.is_ascii() {
        return false;
    }
    let text = converted(segment);
    is_structure(trimmed(text.as_bytes())) || text.contains(['/', '\\'])
}

fn is_structure(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..")
}

/// A segment as a server reads it that drops blanks, and bytes which are not UTF-8.
fn name(segment: &[u8]) -> Cow<'_, [u8]> {
    if segment.is_ascii() {
        return trimmed(segment).into();
    }
    trimmed(converted(segment).as_bytes()).to_vec().into()
}

/// The plain form (Unicode NFKC) of what is UTF-8, without the blanks at its ends.
fn converted(segment: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(segment)
        .chars()
        .filter(|&c| c != char::REPLACEMENT_CHARACTER)
        .collect();
    ComposingNormalizerBorrowed::new_nfkc().normalize(&text).trim().to_owned()
}

fn trimmed(segment: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'+');
    let Some(start) = segment.iter().position(|byte| !is_blank(byte)) else { return b"" };
    let end = segment.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    &segment[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(decoded: &str) -> Vec<String> {
        again(decoded.as_bytes()).into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn a_segment_is_displaced_that_becomes_structure() {
        for segment in [
            &b"..\xff"[..],
            b".\xff",
            b"\xff",
            b"..\xc0\xaf",
            b"\xc0\xae\xc0\xae..",
            "..\u{a0}".as_bytes(),
            "\u{ff0e}\u{ff0e}".as_bytes(),
            "\u{2025}".as_bytes(),
            "a\u{ff0f}b".as_bytes(),
            "a\u{ff3c}b".as_bytes(),
        ] {
            assert!(is_displaced(segment), "{}", segment.escape_ascii());
        }
        for segment in [
            &b"caf\xe9.txt"[..],
            "caf\u{e9}".as_bytes(),
            "wait\u{2026}".as_bytes(),
            "\u{2026}".as_bytes(),
            "\u{ff21}\u{ff22}".as_bytes(),
            b"..",
            b"",
        ] {
            assert!(!is_displaced(segment), "{}", segment.escape_ascii());
        }
    }

    #[test]
    fn an_ordinary_path_has_one_reading() {
        for path in ["/", "/a", "/a/b/", "/a b/c", "/100+1", "/.well-known/x...", "/é/:@,=&$!'()*~"]
        {
            assert!(readings(path).is_empty(), "{path} {:?}", readings(path));
        }
    }

    #[test]
    fn whatever_appears_later_is_a_reading() {
        for (decoded, wanted) in [
            ("/%61dmin/x", &["/admin/x"][..]),
            ("/%2561dmin/x", &["/%61dmin/x", "/admin/x"]),
            ("/admin%3Bv=1/x", &["/admin/x", "/admin;v=1/x"]),
            ("/admin%3Fx", &["/admin", "/admin?x"]),
            ("/admin?x/y", &["/admin"]),
            ("/admin#x", &["/admin"]),
            ("/x/..%2fadmin", &["/admin"]),
            ("/x/%2e%2e/%2E/admin/", &["/admin"]),
            ("/x/..%ff/admin", &["/admin"]),
            ("/x/..;v/admin", &["/admin"]),
            ("/x/..%3bv%2fadmin", &["/admin"]),
            ("/x%5c..%5cadmin", &["/admin"]),
            ("/../../admin", &["/admin"]),
            ("//admin", &["/admin"]),
            ("/ /admin", &["/admin"]),
            ("/x/..+/admin", &["/admin"]),
            ("/a?b;c", &["/a", "/a?b"]),
            ("/100%", &[]),
            ("/100%/a%20b", &["/100%/a b"]),
        ] {
            let found = readings(decoded);
            for one in wanted {
                assert!(found.contains(&(*one).to_owned()), "{decoded} {one} {found:?}");
            }
            assert!(!found.contains(&decoded.to_owned()) && found.len() <= 8, "{decoded}");
        }
    }

    #[test]
    fn escapes_may_be_escaped_a_few_times() {
        for (decoded, wanted) in [
            ("/a", false),
            ("/100%", false),
            ("/%zz%", false),
            ("/%41", false),
            ("/%252541", false),
            ("/%25252541", true),
            ("/%2525252525252541", true),
        ] {
            assert_eq!(is_escaped_too_often(decoded.as_bytes()), wanted, "{decoded}");
            if !wanted && decoded.contains("41") {
                assert!(readings(decoded).contains(&"/A".to_owned()), "{decoded}");
            }
        }
    }
}
