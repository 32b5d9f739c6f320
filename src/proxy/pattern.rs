//! Path patterns of rules: `*` is one segment, `**` any number of them, also none.

/// A pattern, taken apart once.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    One,
    Any,
}

impl Pattern {
    /// Of the text of a rule, as `/public/**`.
    pub(super) fn new(text: &str) -> Self {
        let parts = segments(text).map(|segment| match segment {
            "*" => Part::One,
            "**" => Part::Any,
            text => Part::Text(text.to_owned()),
        });
        Self(parts.collect())
    }

    /// Whether it matches a canonical path (relative to the app, with a leading slash). Exact: the
    /// empty segment after a trailing slash is one, too.
    pub(super) fn matches(&self, path: &str) -> bool {
        let segments: Vec<&str> = segments(path).collect();
        matches(&self.0, &segments)
    }
}

fn segments(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn matches(parts: &[Part], segments: &[&str]) -> bool {
    match (parts, segments) {
        ([], []) | ([Part::Any], _) => true,
        ([Part::Any, rest @ ..], _) => {
            (0..=segments.len()).any(|skipped| matches(rest, &segments[skipped..]))
        }
        ([Part::One, parts @ ..], [segment, segments @ ..]) => {
            !segment.is_empty() && matches(parts, segments)
        }
        ([Part::Text(text), parts @ ..], [segment, segments @ ..]) => {
            text == segment && matches(parts, segments)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (pattern, yes, no) in [
            (
                "/public/**",
                vec!["/public/", "/public/a", "/public/a/b", "/public"],
                vec!["/publicx", "/", "/x/public/a"],
            ),
            ("/one/*", vec!["/one/a"], vec!["/one", "/one/", "/one/a/b", "/one/a/"]),
            ("/**/x", vec!["/x", "/a/x", "/a/b/x"], vec!["/a", "/x/y"]),
            ("/", vec!["/"], vec!["/a"]),
            ("/**", vec!["/", "/a", "/a/b/"], vec![]),
            ("/a", vec!["/a"], vec!["/A", "/a/", "/ab"]),
        ] {
            let parsed = Pattern::new(pattern);
            for path in yes {
                assert!(parsed.matches(path), "{pattern} {path}");
            }
            for path in no {
                assert!(!parsed.matches(path), "{pattern} {path}");
            }
        }
    }
}
