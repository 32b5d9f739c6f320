//! The words of each language, from its file in `data/`.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::language::Language;
use super::text::Text;

const ENGLISH: &str = include_str!("data/en.toml");
const GERMAN: &str = include_str!("data/de.toml");
const FRENCH: &str = include_str!("data/fr.toml");
const SPANISH: &str = include_str!("data/es.toml");
const PORTUGUESE: &str = include_str!("data/pt.toml");
const JAPANESE: &str = include_str!("data/ja.toml");
const CHINESE: &str = include_str!("data/zh.toml");

/// The words of one language, by the number of their text. The tests make sure that none is empty.
type Words = Vec<String>;

/// The words of each language that somebody has asked for.
static ALL: [OnceLock<Words>; 8] = [const { OnceLock::new() }; 8];

/// The words of a text, with its places.
pub(super) fn words(language: Language, text: Text) -> &'static str {
    let slot = ALL.get(language as usize).and_then(|slot| {
        let all = slot.get_or_init(|| read(language));
        all.get(text as usize)
    });
    slot.map_or("", String::as_str)
}

/// Reads the file of a language. What it lacks stays English.
fn read(language: Language) -> Words {
    let english = parse(ENGLISH);
    let mut own = parse(match language {
        Language::English => ENGLISH,
        Language::German => GERMAN,
        Language::French => FRENCH,
        Language::Spanish => SPANISH,
        Language::Portuguese => PORTUGUESE,
        Language::Japanese => JAPANESE,
        Language::Chinese => CHINESE,
        #[cfg(test)]
        Language::Marks => return Text::ALL.iter().map(|text| mark(&english[text])).collect(),
    });
    let word = |text: &Text| own.remove(text).or_else(|| english.get(text).cloned());
    Text::ALL.iter().map(word).map(Option::unwrap_or_default).collect()
}

fn parse(file: &str) -> HashMap<Text, String> {
    toml::from_str(file).unwrap_or_default()
}

/// A mark with the places of a text.
#[cfg(test)]
fn mark(text: &str) -> String {
    let places = places(text).map(|place| format!("{{{place}}}"));
    format!("\u{27e6}{}\u{27e7}", places.collect::<String>())
}

/// The names of the places of a text.
#[cfg(test)]
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FILES: [(Language, &str); 7] = [
        (Language::English, ENGLISH),
        (Language::German, GERMAN),
        (Language::French, FRENCH),
        (Language::Spanish, SPANISH),
        (Language::Portuguese, PORTUGUESE),
        (Language::Japanese, JAPANESE),
        (Language::Chinese, CHINESE),
    ];

    /// The file without a fallback. An unknown name is an error here.
    fn strict(language: Language, file: &str) -> HashMap<Text, String> {
        toml::from_str(file).unwrap_or_else(|error| panic!("{}: {error}", language.tag()))
    }

    #[test]
    fn every_language_has_every_text_with_its_places() {
        let english = strict(Language::English, ENGLISH);
        for (language, file) in FILES {
            let own = strict(language, file);
            for text in Text::ALL {
                let tag = language.tag();
                let words = own.get(text).unwrap_or_else(|| panic!("{tag} lacks {text:?}"));
                let set = |of: &str| places(of).map(str::to_owned).collect::<BTreeSet<_>>();
                assert_eq!(set(words), set(&english[text]), "{tag} {text:?}");
                assert_eq!(words.trim(), words, "{tag} {text:?}");
                assert!(!words.is_empty(), "{tag} {text:?}");
            }
        }
    }

    #[test]
    fn a_text_has_no_html_and_no_lone_brace() {
        for (language, file) in FILES {
            for (text, words) in strict(language, file) {
                let is_name = |place: &str| {
                    !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_lowercase())
                };
                assert!(places(&words).all(is_name), "{} {text:?}", language.tag());
                let braces = [words.matches('{').count(), words.matches('}').count()];
                assert_eq!(braces, [places(&words).count(); 2], "{} {text:?}", language.tag());
                let is_html = words.contains(['<', '>', '&']);
                assert!(!is_html, "{} {text:?}", language.tag());
            }
        }
    }

    /// Names of programs and loan words are the same in several languages; sentences are not.
    #[test]
    fn no_sentence_is_left_in_english() {
        let english = strict(Language::English, ENGLISH);
        for (language, file) in FILES.into_iter().skip(1) {
            for (text, words) in strict(language, file) {
                let is_sentence = english[&text].split(' ').count() > 3;
                assert!(!is_sentence || words != english[&text], "{} {text:?}", language.tag());
            }
        }
    }

    #[test]
    fn the_numbers_of_texts_and_languages_fit_their_tables() {
        for (number, text) in Text::ALL.iter().enumerate() {
            assert_eq!(*text as usize, number);
        }
        for language in Language::ALL {
            assert!(!words(language, Text::SignOut).is_empty(), "{}", language.tag());
        }
        assert_eq!(words(Language::German, Text::SignOut), "Abmelden");
        assert_eq!(
            words(Language::Marks, Text::AnotherPerson),
            "\u{27e6}{current}{user}{current}\u{27e7}"
        );
    }
}
