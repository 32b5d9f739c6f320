//! A TOML document → the structs of [`super::file`], with every complaint and not just the first.
//!
//! serde stops at the first error. So whatever it complains about is cut out of the document and
//! the rest is decoded again, until it has nothing to say: each round costs one small document.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer};

use super::file::TABLES;
use super::problem::Problems;
use super::suggest;

/// What was cut out: dotted paths. A check that misses a key stays silent when it is here.
#[derive(Debug, Default)]
pub(super) struct Lost(Vec<String>);

impl Lost {
    /// Whether one of these keys of this table was cut out, or something that was meant to be it.
    pub(super) fn any(&self, table: &str, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(&format!("{table}.{key}")))
    }

    /// Whether this section or key was cut out.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.iter().any(|lost| lost == path)
    }
}

/// The document, or every place where it is not TOML.
pub(super) fn parse<'s>(problems: &mut Problems<'s>) -> Option<DeTable<'s>> {
    let (document, errors) = DeTable::parse_recoverable(problems.text());
    let text = problems.text();
    // What follows from an error that was told: the rest of its line, and the keys of a table
    // whose header was one too many.
    let mut told: Range<usize> = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        if told.contains(&span.start) {
            continue;
        }
        let line = text[span.start..].find('\n').map_or(text.len(), |end| span.start + end);
        told = span.start..line + 1;
        match error.message() {
            "duplicate key" => {
                let word = text.get(span.clone()).unwrap_or_default();
                if is_header(text, span.start) {
                    told.end = text[line..].find("\n[").map_or(text.len(), |next| line + next);
                }
                problems.error_with_help(
                    &span,
                    format!("`{word}` is there already"),
                    "give one of the two another name, or keep only one",
                );
            }
            // What begins like a number is taken for one.
            value if value.starts_with("invalid ") && !value.contains("key") => {
                problems.error_with_help(&span, value, "text stands in quotes: `\"…\"`");
            }
            other => {
                problems.error_with_help(&span, other, "https://toml.io shows how it is written");
            }
        }
    }
    problems.is_empty().then(|| document.into_inner())
}

/// Whether what stands here is in the header of a table.
fn is_header(text: &str, at: usize) -> bool {
    let begin = text[..at].rfind('\n').map_or(0, |line| line + 1);
    text[begin..].trim_start().starts_with('[')
}

/// Decodes what can be decoded; `table` keeps only that. `None`: nothing at all.
pub(super) fn decode<T: DeserializeOwned>(
    table: &mut DeTable<'_>,
    problems: &mut Problems<'_>,
    lost: &mut Lost,
) -> Option<T> {
    loop {
        let document = Spanned::new(0..problems.text().len(), table.clone());
        let error = match T::deserialize(Deserializer::from(document)) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let complaint = Complaint::of(error.message());
        let path = cut(table, &span, complaint.is_about_a_list());
        // A table whose key was cut out may now miss it: that is no second problem.
        if complaint != Complaint::Absence || !problems.any_within(&span) {
            complaint.report(error.message(), &span, path.as_deref(), problems);
        }
        lost.0.push(complaint.meant(path?));
    }
}

/// Removes the innermost entry that the span belongs to; gives its dotted path.
///
/// Tables written with a header do not contain their children's spans, so all are searched.
///
/// A list of tables has the span of its first: `whole` cuts out the list.
fn cut(table: &mut DeTable<'_>, span: &Range<usize>, whole: bool) -> Option<String> {
    let holds = |range: Range<usize>| range.start <= span.start && span.end <= range.end;
    let named = |table: &DeTable<'_>, hit: &dyn Fn(&Key<'_>, &Item<'_>) -> bool| {
        let (key, _) = table.iter().find(|(key, value)| hit(key, value))?;
        Some(key.get_ref().clone().into_owned())
    };
    let mut found = named(table, &|key, _| holds(key.span()));
    if found.is_none() {
        for (key, value) in table.iter_mut() {
            if let Some(path) = cut_below(value.get_mut(), span, whole) {
                return Some(format!("{}.{path}", key.get_ref()));
            }
        }
        found = named(table, &|_, value| holds(value.span()));
    }
    let key = found?;
    table.remove(key.as_str());
    Some(key)
}

type Key<'d> = Spanned<DeString<'d>>;
type Item<'d> = Spanned<DeValue<'d>>;

fn cut_below(value: &mut DeValue<'_>, span: &Range<usize>, whole: bool) -> Option<String> {
    match value {
        DeValue::Table(table) => cut(table, span, whole),
        DeValue::Array(items) => {
            let inner = items.iter_mut().find_map(|item| cut_below(item.get_mut(), span, whole));
            inner.or_else(|| if whole { None } else { cut_table(items, span) })
        }
        _ => None,
    }
}

/// Removes a whole table of a list, so that the others of the list are still looked at.
fn cut_table(items: &mut DeArray<'_>, span: &Range<usize>) -> Option<String> {
    let at = items.iter().position(|item| item.get_ref().is_table() && item.span() == *span)?;
    let mut rest = DeArray::new();
    for (other, item) in std::mem::replace(items, DeArray::new()).into_iter().enumerate() {
        if other != at {
            rest.push(item);
        }
    }
    *items = rest;
    Some(at.to_string())
}

/// What serde says, understood.
#[derive(Debug, PartialEq, Eq)]
enum Complaint {
    /// A key that it does not know, and those it knows.
    Key(String, Vec<String>),
    /// A word that is no value, and those that are.
    Word(String, Vec<String>),
    /// Another type than expected.
    Type { expected: String, found: &'static str },
    /// A key is missing.
    Absence,
    /// Anything else, as it says it.
    Other,
}

impl Complaint {
    fn of(text: &str) -> Self {
        let mut words = text.split('`').skip(1).step_by(2).map(str::to_owned);
        if text.starts_with("unknown field ") {
            Self::Key(words.next().unwrap_or_default(), words.collect())
        } else if text.starts_with("unknown variant ") {
            Self::Word(words.next().unwrap_or_default(), words.collect())
        } else if text.starts_with("missing field ") {
            Self::Absence
        } else {
            wrong_type(text).unwrap_or(Self::Other)
        }
    }

    fn is_about_a_list(&self) -> bool {
        matches!(self, Self::Type { found: "a list", .. })
    }

    fn report(
        &self,
        text: &str,
        span: &Range<usize>,
        path: Option<&str>,
        problems: &mut Problems<'_>,
    ) {
        let (table, key) =
            path.map_or(("", "this"), |path| path.rsplit_once('.').unwrap_or(("", path)));
        match self {
            Self::Key(word, known) => {
                let message = if table.is_empty() {
                    format!("unknown section `{word}`")
                } else {
                    format!("unknown key `{word}` in [{table}]")
                };
                problems.error_with_help(span, message, help_with_key(word, known));
            }
            Self::Word(word, known) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let help = suggest::help(word, &known);
                problems.error_with_help(span, format!("`{word}` is no value of `{key}`"), help);
            }
            Self::Type { expected, found } => {
                let not = if found.is_empty() { String::new() } else { format!(", not {found}") };
                let message = format!("`{key}` must be {expected}{not}");
                match how_to_write(expected, found, key) {
                    Some(help) => problems.error_with_help(span, message, help),
                    None => problems.error(span, message),
                }
            }
            Self::Absence => {
                let missing = text.split('`').nth(1).unwrap_or_default();
                let help = format!("add `{missing} = …` to it");
                problems.error_with_help(span, format!("missing key `{missing}`"), help);
            }
            Self::Other => problems.error(span, format!("`{key}`: {text}")),
        }
    }

    /// The path that was cut out, as it was probably meant.
    fn meant(&self, path: String) -> String {
        let Self::Key(word, known) = self else { return path };
        let near = if PRESETS_TO_COME.contains(&word.as_str()) {
            Some("command")
        } else {
            suggest::nearest(word, known.iter().map(String::as_str))
        };
        match (near, path.rsplit_once('.')) {
            (Some(near), Some((table, _))) => format!("{table}.{near}"),
            (Some(near), None) => near.to_owned(),
            (None, _) => path,
        }
    }
}

/// Names of presets that people will try.
const PRESETS_TO_COME: [&str; 8] =
    ["gradio", "dash", "panel", "marimo", "jupyter", "voila", "shiny", "fastapi"];

fn help_with_key(word: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if PRESETS_TO_COME.contains(&word) {
        "the presets are `streamlit` and `keycloak`; start other programs with `command`".to_owned()
    } else if known.len() > 12 && suggest::nearest(word, known.iter().copied()).is_none() {
        "`appliance schema` lists all keys".to_owned()
    } else {
        suggest::help(word, &known)
    }
}

const TOO_LARGE: &str = "one of that size";

fn how_to_write(expected: &str, found: &str, key: &str) -> Option<String> {
    Some(match expected {
        "a list" => format!("write it as `{key} = [\"…\"]`"),
        "a table" | "`false` or a table" => format!("write it as `{key} = {{ … }}`"),
        "a string" => "text stands in quotes: `\"…\"`".to_owned(),
        "a string or a table" | "a string or a list of strings" => {
            format!("write it as `{key} = \"…\"`")
        }
        secret if secret.starts_with("a table as ") => {
            "a secret is named here and never written: put it into a variable or a file".to_owned()
        }
        "a whole number" if found == TOO_LARGE => "write a smaller one".to_owned(),
        "a whole number" | "`true` or `false`" => "write it without quotes".to_owned(),
        TABLES => "write `[apps.NAME]` over each app".to_owned(),
        _ => return None,
    })
}

/// `invalid type: string "s3cret", expected a sequence` in TOML's words, and without the value,
/// which may be a secret.
fn wrong_type(text: &str) -> Option<Complaint> {
    // Of a word among a few: serde does not say of which.
    if text == "wanted string or table" {
        return Some(Complaint::Type { expected: "a string".to_owned(), found: "" });
    }
    let (found, expected) = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))?
        .rsplit_once(", expected ")?;
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "`true` or `false`",
        "i64" | "u64" | "u32" | "u16" => "a whole number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    let found = match found.split_whitespace().next().unwrap_or_default() {
        "integer" if expected == "a whole number" => TOO_LARGE,
        "string" => "a string",
        "integer" => "a number",
        "floating" => "a number with a fraction",
        "boolean" => "a boolean",
        "sequence" => "a list",
        "map" => "a table",
        _ => "something else",
    };
    Some(Complaint::Type { expected: expected.to_owned(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_is_understood_without_the_value() {
        let is = |expected: &str, found| Complaint::Type { expected: expected.to_owned(), found };
        for (text, complaint) in [
            (
                "invalid type: string \"s3cret, expected x\", expected a sequence",
                is("a list", "a string"),
            ),
            ("invalid type: map, expected a string", is("a string", "a table")),
            ("missing field `app`", Complaint::Absence),
            ("wanted string or table", is("a string", "")),
            (
                "invalid value: integer `99` as i128, expected i64",
                is("a whole number", "one of that size"),
            ),
            (
                "unknown field `a`, expected `b` or `c`",
                Complaint::Key("a".into(), vec!["b".into(), "c".into()]),
            ),
            ("unknown variant `a`, expected `b`", Complaint::Word("a".into(), vec!["b".into()])),
            ("integer number overflowed", Complaint::Other),
        ] {
            assert_eq!(Complaint::of(text), complaint);
        }
    }
}
