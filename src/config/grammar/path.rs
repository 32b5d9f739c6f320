//! Paths of apps and patterns of rules.

use percent_encoding::percent_decode;

use super::Parsed;
use crate::config::model::PathPattern;

/// The prefix of an app: `/` or segments; a trailing slash is dropped.
pub(crate) fn prefix(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("a path begins with `/`; write `/{text}`"));
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    if trimmed.is_empty() {
        return Ok("/".to_owned());
    }
    if trimmed.contains('*') {
        return Err(
            "a path is a prefix and holds for all below it; patterns belong to `rules`".to_owned()
        );
    }
    segments(trimmed)?;
    Ok(trimmed.to_owned())
}

/// A pattern of a rule: segments, `*` or `**` as whole ones. It may be written with or without
/// escapes; rules are compared with paths whose escapes are undone.
pub(crate) fn pattern(text: &str) -> Parsed<PathPattern> {
    if !text.starts_with('/') {
        return Err(format!("a path begins with `/`; write `/{text}`"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("`{text}` ends with a slash; write `{text}**` for all that is below"));
    }
    if text.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
        return Err("`*` is no part of a segment; it stands for one whole segment, `**` for any number of them".to_owned());
    }
    if text.contains(['?', '#']) {
        return Err(format!(
            "`{text}` has a `?` or `#`, and a rule has no query; write `%3F` or `%23` for the character"
        ));
    }
    if text.len() > 1 {
        escapes(text)?;
        let decoded: Vec<u8> = percent_decode(text.as_bytes()).collect();
        if decoded.iter().any(|&b| b < b' ' || matches!(b, 0x7f | b'\\' | b';')) {
            return Err(format!("`{text}` has a character that no request may have in its path"));
        }
        no_odd_segment(text, &decoded)?;
    }
    Ok(PathPattern::new(text))
}

/// Every `%` begins an escape, and none of them hides a slash.
fn escapes(text: &str) -> Parsed<()> {
    for (_, rest) in text.match_indices('%').map(|(at, _)| text.split_at(at + 1)) {
        let digits = rest.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits {
            None => return Err(format!("`{text}` has a broken escape; write `%25` for `%`")),
            Some("2f" | "2F") => {
                return Err(format!(
                    "`{text}` has a character that no request may have in its path"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn no_odd_segment(text: &str, path: &[u8]) -> Parsed<()> {
    let odd = |segment: &[u8]| matches!(segment, b"" | b"." | b"..");
    if path.split(|&b| b == b'/').skip(1).any(odd) {
        return Err(format!("`{text}` has an empty, `.` or `..` segment; leave it out"));
    }
    Ok(())
}

/// What no request's path can be after admission can be no prefix either.
fn segments(path: &str) -> Parsed<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(format!(
            "`{path}` has a character that cannot stand in a path; use letters, digits, `-`, `.`, `_` and `~`"
        ));
    }
    no_odd_segment(path, path.as_bytes())
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
