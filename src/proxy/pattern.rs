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

/// Only the last `**` ever has to take more: what came before it has matched as early as it could.
/// So the time grows with the two lengths, whatever a client makes of its path.
fn matches(parts: &[Part], segments: &[&str]) -> bool {
    let (mut part, mut segment) = (0, 0);
    let mut last_any = None;
    loop {
        match (parts.get(part), segments.get(segment)) {
            (None, None) => return true,
            (Some(Part::Any), _) => {
                part += 1;
                last_any = Some((part, segment));
            }
            (Some(one), Some(text)) if one.is(text) => {
                part += 1;
                segment += 1;
            }
            _ => match last_any {
                Some((after, from)) if from < segments.len() => {
                    last_any = Some((after, from + 1));
                    (part, segment) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

impl Part {
    fn is(&self, segment: &str) -> bool {
        match self {
            Self::Text(text) => text == segment,
            Self::One => !segment.is_empty(),
            Self::Any => false,
        }
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
            ("/**/x", vec!["/x", "/a/x", "/a/b/x", "/x/x"], vec!["/a", "/x/y"]),
            (
                "/**/a/*/**/b",
                vec!["/a/x/b", "/a/a/x/b/b", "/x/a/b/c/b", "/a/b/b"],
                vec!["/a/b", "/a//b", "/b/a/x", "/a/x/b/"],
            ),
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
    /// With each `**` tried against each segment this took minutes.
    #[test]
    fn a_long_path_costs_no_more_than_its_length() {
        let pattern = Pattern::new("/**/a/**/b/**/c/**/d");
        let path = ["/a", "/b", "/c"].map(|segment| segment.repeat(2500)).concat();
        let begun = std::time::Instant::now();
        assert!(!pattern.matches(&path));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
