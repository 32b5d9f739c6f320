//! Path prefixes of apps and path patterns of rules.

use percent_encoding::percent_decode;

use super::Parsed;
use crate::config::model::PathPattern;

/// The path prefix of an app: `/` or segments; a trailing slash is dropped.
pub(crate) fn prefix(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("a path must begin with `/`; write `/{text}`"));
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    if trimmed.is_empty() {
        return Ok("/".to_owned());
    }
    if trimmed.contains('*') {
        return Err("`path` is a prefix, not a pattern; use patterns in `rules`".to_owned());
    }
    segments(trimmed)?;
    Ok(trimmed.to_owned())
}

/// The pattern of a rule: segments, or `*` or `**` as whole segments. The pattern may be written with
/// or without escapes: rules are compared with paths whose escapes are decoded.
pub(crate) fn pattern(text: &str) -> Parsed<PathPattern> {
    if !text.starts_with('/') {
        return Err(format!("a path must begin with `/`; write `/{text}`"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("`{text}` ends with a slash; write `{text}**` for everything below"));
    }
    if text.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
        return Err("`*` must be a whole segment; write `/*` for one segment, `/**` for any number of segments".to_owned());
    }
    if text.contains(['?', '#']) {
        return Err(format!(
            "`{text}` contains `?` or `#`, but a rule has no query; write `%3F` or `%23` for the character"
        ));
    }
    if text.len() > 1 {
        check_escapes(text)?;
        let decoded: Vec<u8> = percent_decode(text.as_bytes()).collect();
        if decoded.iter().any(|&b| b < b' ' || matches!(b, 0x7f | b'\\' | b';')) {
            return Err(refused_character(text));
        }
        check_segments(text, &decoded)?;
    }
    Ok(PathPattern::new(text))
}

/// Checks that every `%` begins an escape, and that no escape is a slash.
fn check_escapes(text: &str) -> Parsed<()> {
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3);
        match digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
            None => return Err(format!("`{text}` has an invalid escape; write `%25` for `%`")),
            Some("2f" | "2F") => return Err(refused_character(text)),
            Some(_) => {}
        }
    }
    Ok(())
}

fn refused_character(text: &str) -> String {
    format!("`{text}` contains a character that the proxy refuses in the path of every request")
}

fn check_segments(text: &str, path: &[u8]) -> Parsed<()> {
    let odd = |segment: &[u8]| matches!(segment, b"" | b"." | b"..");
    if path.split(|&b| b == b'/').skip(1).any(odd) {
        return Err(format!("`{text}` has an empty, `.` or `..` segment; remove it"));
    }
    Ok(())
}

/// Refuses segments that the proxy refuses in requests: such a path could never match.
fn segments(path: &str) -> Parsed<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(format!(
            "`{path}` contains a character that a path cannot have; use letters, digits, `-`, `.`, `_` and `~`"
        ));
    }
    check_segments(path, path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_patterns() {
        assert_eq!(prefix("/app1/").as_deref(), Ok("/app1"));
        assert_eq!(prefix("/").as_deref(), Ok("/"));
        for bad in ["app", "", "//", "/a//b", "/a/../b", "/a%20b", "/a?b", "/a*", "/ä", "/a;b"] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
        for good in [
            "/",
            "/**",
            "/public/*",
            "/a/**/b",
            "/x.css",
            "/a%20b",
            "/a b/*",
            "/ä",
            "/%c3%A4",
            "/%2A",
            "/100%25",
            "/what%3F",
            "/[a]",
        ] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in [
            "public/*",
            "/a/",
            "/*.css",
            "/a//b",
            "/***",
            "/a?b",
            "/a#b",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;b",
            "/a%3b",
            "/%",
            "/%zz",
            "/%4",
            "/%é",
            "/%2e%2E/b",
            "/a/./b",
            "/a%00",
            "/a\tb",
        ] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }
}
