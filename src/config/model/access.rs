//! Access policies: who may open an app or a part of it.

use std::collections::BTreeMap;

/// An access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a login.
    Public,
    /// Everybody who is signed in.
    SignedIn,
    /// People who are signed in and meet the constraints.
    Only(Constraints),
}

/// One value of each list must match, and all keys must match. An empty list does not constrain;
/// the check refuses a table without any list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Exact values of the groups claim. A leading `/` of a top-level group is ignored on both
    /// sides.
    pub groups: Vec<String>,
    /// Realm roles, or client roles as `client:<id>:<role>`.
    pub roles: Vec<String>,
    /// Whole addresses; the domain is compared without regard to case.
    pub emails: Vec<String>,
    /// Exact domains, compared without regard to case.
    pub email_domains: Vec<String>,
    /// Accepted values by dotted claim name.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// The policy for a part of an app; the first rule that matches counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Pattern of the path, relative to the app's path.
    pub path: PathPattern,
    /// Exact methods; empty means all. `GET` includes `HEAD`.
    pub methods: Vec<String>,
    /// Who may open this part.
    pub access: Access,
    /// Answer 401 instead of a redirect to the login.
    pub api: bool,
}

/// A path pattern: `*` is one segment, `**` any number of segments, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The pattern as written.
    pub text: String,
}

impl PathPattern {
    /// Whether a path (relative to the app, with a leading slash) matches. Case and escapes are
    /// compared as they are; one trailing slash makes no difference.
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = segments(&self.text).collect();
        let path: Vec<&str> = segments(path).collect();
        segments_match(&pattern, &path)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    // The root path has no segment.
    path.split('/').filter(move |_| !path.is_empty())
}

/// Greedy, with one position to go back to, so that the cost is at most the length of the path
/// times the length of the pattern.
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

    /// Trying each `**` against each segment would take minutes.
    #[test]
    fn a_long_path_is_matched_in_time() {
        let rule = PathPattern { text: "/**/a/**/b/**/c/**/d".to_owned() };
        let path = ["/a", "/b", "/c"].map(|segment| segment.repeat(2500)).concat();
        let begun = std::time::Instant::now();
        assert!(!rule.matches(&path));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
