//! A text with its values. The language is chosen when the message is shown.

use std::fmt;

use super::catalogue::words;
use super::language::Language;
use super::text::Text;

/// What a person reads. It [displays](fmt::Display) itself in English, as the log and programs get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Content);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// A text, and the values of its places by their names.
    Text(Text, Vec<(&'static str, Value)>),
    /// The same in every language.
    Plain(String),
}

/// The value of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value(Message);

impl Message {
    /// Words that are the same in every language: a name, an address, what another program said.
    pub(crate) fn plain(words: impl Into<String>) -> Self {
        Self(Content::Plain(words.into()))
    }

    /// Gives a place of the text its value.
    pub(crate) fn with(mut self, place: &'static str, value: impl Into<Value>) -> Self {
        if let Content::Text(_, values) = &mut self.0 {
            values.push((place, value.into()));
        }
        self
    }

    /// The words in a language.
    pub(crate) fn to(&self, language: Language) -> String {
        let mut shown = String::new();
        self.write(language, &mut shown);
        shown
    }

    fn write(&self, language: Language, out: &mut String) {
        let (text, values) = match &self.0 {
            Content::Text(text, values) => (*text, values),
            Content::Plain(words) => return out.push_str(words),
        };
        let mut rest = words(language, text);
        // A value is not searched for places: it may come from a stranger.
        while let Some((before, (place, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            out.push_str(before);
            if let Some((_, Value(value))) = values.iter().find(|(name, _)| *name == place) {
                value.write(language, out);
            }
            rest = after;
        }
        out.push_str(rest);
    }
}

impl Text {
    /// A message of this text with one value.
    pub(crate) fn with(self, place: &'static str, value: impl Into<Value>) -> Message {
        Message::from(self).with(place, value)
    }

    /// The words in a language, for a text without places.
    pub(crate) fn to(self, language: Language) -> &'static str {
        words(language, self)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Language::English))
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self(Content::Text(text, Vec::new()))
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        Self(message)
    }
}

impl From<&str> for Value {
    fn from(words: &str) -> Self {
        Self(Message::plain(words))
    }
}

impl From<String> for Value {
    fn from(words: String) -> Self {
        Self(Message::plain(words))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self(Message::plain(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_in_a_language_with_its_values() {
        let group = Text::LackGroup.with("name", "staff");
        let denied = Text::Denied.with("user", "bob").with("app", "Sales").with("what", group);
        assert_eq!(
            denied.to_string(),
            "You are signed in as bob, but Sales needs the group staff. Ask your administrator for \
             access, or sign in with another account."
        );
        let german = denied.to(Language::German);
        for part in ["bob", "Sales", "die Gruppe staff"] {
            assert!(german.contains(part), "{german}");
        }
        assert_eq!(Message::plain("a {b}").to(Language::Japanese), "a {b}");
    }

    #[test]
    fn the_places_of_a_value_stay_as_they_are() {
        let hostile = Text::ContinueAs.with("user", "{user} {x}");
        assert_eq!(hostile.to_string(), "Continue as {user} {x}");
        assert_eq!(Message::from(Text::ContinueAs).to_string(), "Continue as ");
    }
}
