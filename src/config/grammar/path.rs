//! Path prefixes of apps and path patterns of rules.

use super::Parsed;

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

/// The pattern of a rule: segments, or `*` or `**` as whole segments.
pub(crate) fn pattern(text: &str) -> Parsed<String> {
    if !text.starts_with('/') {
        return Err(format!("a path must begin with `/`; write `/{text}`"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("`{text}` ends with a slash; write `{text}**` for everything below"));
    }
    if text.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
        return Err("`*` must be a whole segment; write `/*` for one segment, `/**` for any number of segments".to_owned());
    }
    if text.len() > 1 {
        segments(text)?;
    }
    Ok(text.to_owned())
}

/// Refuses segments that the proxy refuses in requests: such a path could never match.
fn segments(path: &str) -> Parsed<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(format!(
            "`{path}` contains a character that a path cannot have; use letters, digits, `-`, `.`, `_` and `~`"
        ));
    }
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("`{path}` has an empty, `.` or `..` segment; remove it"));
    }
    Ok(())
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
        for good in ["/", "/**", "/public/*", "/a/**/b", "/x.css"] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in ["public/*", "/a/", "/*.css", "/a//b", "/***"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }
}
