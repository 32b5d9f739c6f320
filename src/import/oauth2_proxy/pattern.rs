//! Regular expressions of paths (`skip_auth_routes`) as patterns of `rules`.
//!
//! A pattern that is not exactly the expression is narrower: what becomes public here was public there.

/// The patterns that together match the paths of the expression; `None` if none do.
pub(super) fn patterns(expression: &str) -> Option<Vec<String>> {
    let anchored = expression.strip_prefix('^')?;
    let alternatives = alternatives(anchored, 0)?;
    alternatives.iter().map(|one| pattern(one)).collect()
}

/// The expression with each `(a|b)` spelled out.
fn alternatives(expression: &str, depth: usize) -> Option<Vec<String>> {
    const DEEPEST: usize = 3;
    let Some(open) = expression.find('(') else { return Some(vec![expression.to_owned()]) };
    let end = expression[open..].find(')')? + open;
    let (before, rest) = (&expression[..open], &expression[end + 1..]);
    let inner = expression[open + 1..end].trim_start_matches("?:");
    // `(…)?` and `(…)*` mean more than one of the alternatives.
    if depth == DEEPEST || before.ends_with('\\') || rest.starts_with(['?', '*', '+', '{']) {
        let is_optional_end = matches!(rest, "?" | "?$") && inner.starts_with('/');
        return is_optional_end.then(|| {
            let dollar = rest.trim_start_matches('?');
            vec![format!("{before}{dollar}"), format!("{before}{inner}{dollar}")]
        });
    }
    let mut found = Vec::new();
    for one in inner.split('|') {
        found.extend(alternatives(&format!("{before}{one}{rest}"), depth + 1)?);
    }
    Some(found)
}

fn pattern(expression: &str) -> Option<String> {
    let (body, is_whole) = match expression.strip_suffix('$') {
        Some(body) if !body.ends_with('\\') => (body, true),
        _ => (expression, false),
    };
    let (body, is_whole) = match body.strip_suffix(".*").or_else(|| body.strip_suffix(".+")) {
        Some(body) => (body, false),
        None => (body.strip_suffix("/?").unwrap_or(body), is_whole),
    };
    let mut path = String::new();
    // The slash in a class separates no segments.
    let body = body.replace("\\/", "/").replace("[^/]+", "*").replace("[^/]*", "*");
    for segment in body.split('/').skip(1) {
        match segment {
            "*" | "\\w+" | "\\d+" | "[0-9]+" => path.push_str("/*"),
            ".*" | ".+" => path.push_str("/**"),
            "" => path.push('/'),
            text => {
                path.push('/');
                path.push_str(&plain(text)?);
            }
        }
    }
    if !body.starts_with('/') {
        return None;
    }
    match (is_whole, path.trim_end_matches('/')) {
        (true, "") => Some("/".to_owned()),
        // `^/x/$` matches no path that a pattern could name.
        (true, trimmed) if trimmed.len() < path.len() => None,
        (true, _) => Some(path),
        (false, trimmed) if trimmed.ends_with("/**") => Some(trimmed.to_owned()),
        (false, trimmed) => Some(format!("{trimmed}/**")),
    }
}

/// A segment without special characters.
fn plain(segment: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(char::is_ascii_punctuation)?),
            c if c.is_ascii_alphanumeric() || "-_~@=:,!".contains(c) => out.push(c),
            // A dot means any character; people mean a dot.
            '.' if chars.as_str().starts_with(|c: char| c.is_ascii_alphanumeric()) => out.push('.'),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_become_patterns_or_nothing() {
        for (expression, found) in [
            ("^/health$", Some(vec!["/health"])),
            ("^/public/.*", Some(vec!["/public/**"])),
            ("^/public/.*$", Some(vec!["/public/**"])),
            ("^/static/", Some(vec!["/static/**"])),
            ("^/health", Some(vec!["/health/**"])),
            ("^/$", Some(vec!["/"])),
            ("^/", Some(vec!["/**"])),
            ("^/api/[^/]+/open$", Some(vec!["/api/*/open"])),
            ("^\\/(health|ready)$", Some(vec!["/health", "/ready"])),
            ("^/robots\\.txt$", Some(vec!["/robots.txt"])),
            ("^/favicon.ico$", Some(vec!["/favicon.ico"])),
            ("^/x(/y)?$", Some(vec!["/x", "/x/y"])),
            ("health", None),
            ("^/x/$", None),
            ("^/(a|b)+$", None),
            ("^/a[bc]$", None),
            (".*", None),
            ("^.*\\.css$", None),
        ] {
            let found = found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(patterns(expression), found, "{expression}");
        }
    }
}
