//! Names of apps and of their processes.

use std::fmt;

/// Name of an app: `[a-z][a-z0-9-]*`. If the app has several processes, each of them has a name of
/// its own: that of the app and a number from 0 on, `app1.0`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(std::sync::Arc<str>);

impl AppName {
    /// `None` if the text is not a valid name.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let good = first.is_ascii_lowercase()
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| Self(text.into()))
    }

    /// The name of an app, or of one process of an app with several. `None` if the text is neither.
    pub fn of_process(text: &str) -> Option<Self> {
        let Some((app, number)) = text.split_once('.') else { return Self::new(text) };
        let number: u32 = number.parse().ok()?;
        Self::new(app).map(|app| app.replica(number)).filter(|name| name.as_str() == text)
    }

    /// The name of one process of an app with several.
    #[must_use]
    pub fn replica(&self, number: u32) -> Self {
        Self(format!("{}.{number}", self.0).into())
    }

    /// The name of the app, without the number of a process.
    pub fn app(&self) -> &str {
        app_of(&self.0)
    }

    /// Whether it is the name of one process of an app with several.
    pub fn is_replica(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether both name the same process of the same app, where `app1` and `app1.0` are one: the
    /// only process of an app is the first of several after a change of their number.
    pub fn is_same_process(&self, other: &Self) -> bool {
        self.app() == other.app() && self.number() == other.number()
    }

    fn number(&self) -> &str {
        self.0.split_once('.').map_or("0", |(_, number)| number)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of the app in the name of an app or of one process of it.
pub(crate) fn app_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(app, _)| app)
}

impl serde::Serialize for AppName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_several_has_the_name_of_its_app_and_a_number() {
        for (text, app, is_replica) in [
            ("app1", Some("app1"), false),
            ("app1.0", Some("app1"), true),
            ("app1.12", Some("app1"), true),
            ("app1.", None, false),
            ("app1.x", None, false),
            ("app1.01", None, false),
            ("app1.+1", None, false),
            ("app1.1.1", None, false),
            (".1", None, false),
            ("App.1", None, false),
        ] {
            let name = AppName::of_process(text);
            assert_eq!(name.as_ref().map(AppName::app), app, "{text}");
            assert_eq!(name.is_some_and(|name| name.is_replica()), is_replica, "{text}");
        }
        assert_eq!(AppName::new("app1.0"), None, "no app has such a name");
    }

    #[test]
    fn the_only_process_is_the_first_of_several() {
        let name = |text| AppName::of_process(text).unwrap();
        for (one, other, same) in [
            ("a", "a.0", true),
            ("a.0", "a", true),
            ("a.1", "a.1", true),
            ("a", "a.1", false),
            ("a.0", "b.0", false),
            ("a", "ab", false),
        ] {
            assert_eq!(name(one).is_same_process(&name(other)), same, "{one} {other}");
        }
    }
}
