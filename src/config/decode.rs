//! A TOML document → the structs of [`super::file`], with every complaint and not just the first.
//!
//! serde stops at the first error. So whatever it complains about is cut out of the document and
//! the rest is decoded again, until it has nothing to say: each round costs one small document.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

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
    for error in errors {
        let end = problems.text().len();
        problems.error(&error.span().unwrap_or(end..end), error.message());
    }
    problems.is_empty().then(|| document.into_inner())
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
        let complaint = Complaint::from(error.message());
        let path = cut(table, &span);
        // A table whose key was cut out may now miss it: that is no second problem.
        if !(complaint.is_absence && problems.any_within(&span)) {
            complaint.report(&span, path.as_deref(), problems);
        }
        lost.0.push(complaint.meant(&path?));
    }
}

/// Removes the innermost entry that the span belongs to; gives its dotted path.
///
/// Tables written with a header do not contain their children's spans, so all are searched.
fn cut(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (key, value) in table.iter_mut() {
        if let Some(path) = cut_below(value.get_mut(), span) {
            return Some(format!("{}.{path}", key.get_ref()));
        }
    }
    let holds = |range: Range<usize>| range.start <= span.start && span.end <= range.end;
    let key = table
        .iter()
        .find(|(key, value)| holds(key.span()) || holds(value.span()))
        .map(|(key, _)| key.get_ref().clone().into_owned())?;
    table.remove(key.as_str());
    Some(key)
}

fn cut_below(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => cut(table, span),
        DeValue::Array(items) => items.iter_mut().find_map(|item| cut_below(item.get_mut(), span)),
        _ => None,
    }
}

/// What serde says, in our words.
#[derive(Debug)]
struct Complaint {
    message: String,
    /// The word it does not know, and those it knows.
    word: Option<(String, Vec<String>)>,
    is_key: bool,
    is_absence: bool,
}

impl From<&str> for Complaint {
    fn from(text: &str) -> Self {
        let is_key = text.starts_with("unknown field ");
        let is_absence = text.starts_with("missing field ");
        let (message, word) = if is_key || text.starts_with("unknown variant ") {
            let mut words = text.split('`').skip(1).step_by(2).map(str::to_owned);
            (String::new(), words.next().map(|word| (word, words.collect())))
        } else {
            (reword(text), None)
        };
        Self { message, word, is_key, is_absence }
    }
}

impl Complaint {
    fn report(&self, span: &Range<usize>, path: Option<&str>, problems: &mut Problems<'_>) {
        let Some((word, known)) = &self.word else {
            return problems.error(span, &*self.message);
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        if !self.is_key {
            let help = suggest::help(word, &known);
            return problems.error_with_help(
                span,
                format!("`{word}` is no value of this key"),
                help,
            );
        }
        let table = path.and_then(|path| path.rsplit_once('.')).map(|(table, _)| table);
        let message = table.map_or_else(
            || format!("unknown section `{word}`"),
            |table| format!("unknown key `{word}` in {table}"),
        );
        let help = if PRESETS_TO_COME.contains(&word.as_str()) {
            "the presets of this version are `streamlit` and `keycloak`; start other programs with `command`".to_owned()
        } else if known.len() > 12 && suggest::nearest(word, known.iter().copied()).is_none() {
            "`appliance schema` lists all keys".to_owned()
        } else {
            suggest::help(word, &known)
        };
        problems.error_with_help(span, message, help);
    }

    /// The path that was cut out, as it was probably meant.
    fn meant(&self, path: &str) -> String {
        let near = self
            .word
            .as_ref()
            .filter(|_| self.is_key)
            .and_then(|(word, known)| suggest::nearest(word, known.iter().map(String::as_str)));
        match (near, path.rsplit_once('.')) {
            (Some(near), Some((table, _))) => format!("{table}.{near}"),
            (Some(near), None) => near.to_owned(),
            _ => path.to_owned(),
        }
    }
}

/// Names of presets that people will try.
const PRESETS_TO_COME: [&str; 8] =
    ["gradio", "dash", "panel", "marimo", "jupyter", "voila", "shiny", "fastapi"];

/// `invalid type: string "s3cret", expected a sequence` → `expected a list, found a string`: in
/// TOML's words, and without the value, which may be a secret.
fn reword(text: &str) -> String {
    let Some((found, expected)) = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return text.replace("missing field", "missing key");
    };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "`true` or `false`",
        "i64" | "u64" | "u32" | "u16" => "a whole number",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    };
    let found = match found.split_whitespace().next().unwrap_or_default() {
        "string" => "a string",
        "integer" => "a number",
        "floating" => "a number with a fraction",
        "boolean" => "`true` or `false`",
        "sequence" => "a list",
        "map" => "a table",
        _ => "something else",
    };
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_is_reworded_without_the_value() {
        assert_eq!(
            reword("invalid type: string \"s3cret, expected x\", expected a sequence"),
            "expected a list, found a string"
        );
        assert_eq!(
            reword("invalid type: map, expected a string"),
            "expected a string, found a table"
        );
        assert_eq!(reword("missing field `app`"), "missing key `app`");
    }
}
