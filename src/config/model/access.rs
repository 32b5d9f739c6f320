//! Who may: the policy of an app or of a part of it.

use std::collections::BTreeMap;

/// Who may open something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in and meets the constraints.
    Only(Constraints),
}

/// Any-of inside one key, all-of between the keys. An empty key does not constrain; a value with
/// no key at all is refused by the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Values of the groups claim, exact. A leading `/` of a top-level group is ignored on both sides.
    pub groups: Vec<String>,
    /// Realm roles, or client roles as `client:<id>:<role>`.
    pub roles: Vec<String>,
    /// Whole addresses; case is ignored in the domain.
    pub emails: Vec<String>,
    /// Exact domains, case ignored.
    pub email_domains: Vec<String>,
    /// Dotted claim name → accepted values.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// A policy for a part of an app; the first that matches wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Relative to the app's path, with a leading slash.
    pub path: PathPattern,
    /// Exact methods; empty means all. `GET` means `HEAD` too.
    pub methods: Vec<String>,
    /// Who may.
    pub access: Access,
    /// Never redirect to the login.
    pub api: bool,
}

/// A path pattern: `*` is one segment, `**` any number of them (also none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// As written, for logs.
    pub text: String,
}

impl PathPattern {
    /// Whether a path (relative to the app, with a leading slash) matches. Case and escapes are
    /// compared as they are; one trailing slash makes no other page.
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = segments(&self.text).collect();
        let path: Vec<&str> = segments(path).collect();
        segments_match(&pattern, &path)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    // The root has no segment.
    path.split('/').filter(move |_| !path.is_empty())
}

/// Greedy with one step back, so that no path costs more than its length times the pattern's.
fn segments_match(pattern: &[&str], path: &[&str]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while s < path.len() {
        match pattern.get(p) {
            Some(&"**") => {
                back = Some((p, s));
                p += 1;
            }
            Some(&segment) if segment == path[s] || (segment == "*" && !path[s].is_empty()) => {
                p += 1;
                s += 1;
            }
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                p = star + 1;
                s = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == "**")
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, matching, other) in [
            (
                "/pub/*",
                &["/pub/a", "/pub/a/"][..],
                &["/pub", "/pub/", "/pub/a/b", "/pubs/a", "/x/pub/a", "/PUB/a"][..],
            ),
            ("/all/**", &["/all", "/all/", "/all/x", "/all/x/y/z"], &["/allx", "/", "/x/all"]),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/", &["/"], &["/a"]),
            ("/a/**/z", &["/a/z", "/a/b/z", "/a/b/c/z", "/a/z/z"], &["/a", "/a/b", "/a/z/b"]),
            ("/**/x/*", &["/x/1", "/a/x/x/1"], &["/x", "/a/x"]),
            ("/exact", &["/exact", "/exact/"], &["/exact/x", "/exac"]),
        ] {
            let rule = PathPattern { text: pattern.to_owned() };
            for path in matching {
                assert!(rule.matches(path), "{pattern} {path}");
            }
            for path in other {
                assert!(!rule.matches(path), "{pattern} {path}");
            }
        }
    }

    /// With each `**` tried against each segment this took minutes.
    #[test]
    fn a_long_path_costs_no_more_than_its_length() {
        let rule = PathPattern { text: "/**/a/**/b/**/c/**/d".to_owned() };
        let path = ["/a", "/b", "/c"].map(|segment| segment.repeat(2500)).concat();
        let begun = std::time::Instant::now();
        assert!(!rule.matches(&path));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
