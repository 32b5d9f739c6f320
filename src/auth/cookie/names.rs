//! The names that the session cookie has had, over reloads and restarts.
//!
//! Browsers still send cookies of a former name, so no app may get them. A name that comes back begins
//! a new era: what was sealed under it before does not open any more.

/// Names without the prefix `__Host-`, each with its era; the last one is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CookieNames(Vec<(String, u32)>);

impl CookieNames {
    /// Reads what [`Self::text`] has written. Damaged lines are skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let (name, era) = line.split_once(' ')?;
            Some((name.to_owned(), era.parse().ok()?))
        });
        Self(lines.collect())
    }

    pub(crate) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (name, era)| text + name + &format!(" {era}\n"))
    }

    /// The same with this name in force.
    pub(crate) fn followed_by(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        if names.last().is_none_or(|(last, _)| last != name) {
            let before = names.iter().position(|(known, _)| known == name);
            let era = before.map_or(0, |at| names.remove(at).1.saturating_add(1));
            names.push((name.to_owned(), era));
        }
        Self(names)
    }

    /// The era of the name in force.
    pub(super) fn era(&self) -> u32 {
        self.0.last().map_or(0, |(_, era)| *era)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_back_begins_a_new_era() {
        let mut names = CookieNames::default();
        for (name, era) in [("a", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 1), ("b", 1), ("a", 2)] {
            names = names.followed_by(name);
            assert_eq!((names.all().last(), names.era()), (Some(name), era));
            assert_eq!(CookieNames::parse(&names.text()), names);
        }
        assert_eq!(names.all().collect::<Vec<_>>(), ["b", "a"]);
        let damaged = CookieNames::parse("a 1\nb\nc x\n\nd 2");
        assert_eq!(damaged.text(), "a 1\nd 2\n");
    }
}
