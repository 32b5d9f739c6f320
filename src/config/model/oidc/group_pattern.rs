//! A pattern of `groups_only`: the name of a group, in which `*` stands for any text.

use std::fmt;

/// A pattern for names of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPattern(String);

impl GroupPattern {
    /// The pattern of a text. `*` stands for any text, also for none and for one with `/`; every other
    /// character stands for itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the whole name matches, in the same letter case.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(name) = name.strip_prefix(first) else { return false };
        let Some(mut name) = name.strip_suffix(last) else { return false };
        // The first occurrence of each part leaves the most for the parts after it.
        middle.split('*').all(|part| match name.split_once(part) {
            Some((_, after)) => {
                name = after;
                true
            }
            None => false,
        })
    }
}

impl fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, want) in [
            ("app-x", "app-x", true),
            ("app-x", "app-xy", false),
            ("app-*", "app-reports", true),
            ("app-*", "app-", true),
            ("app-*", "my-app-x", false),
            ("app-*", "App-x", false),
            ("*-admin", "app-admin", true),
            ("*-admin", "app-admins", false),
            ("*", "", true),
            ("/apps/*", "/apps/a/b", true),
            ("/apps/*", "/apps", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("a*bc*c", "abcbc", true),
            ("a**b", "ab", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a.c", "abc", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(GroupPattern::new(pattern).matches(name), want, "{pattern} {name}");
        }
    }
}
