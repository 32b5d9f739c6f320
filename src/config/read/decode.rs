//! A TOML document → the structs of [`crate::config::file`], with every complaint and not just the first.
//!
//! serde stops at the first error. So whatever it complains about is cut out of the document and
//! the rest is decoded again, until it has nothing to say: each round costs one small document.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer};

use super::complaint::Complaint;
use crate::config::report::problem::Problems;

/// What was cut out: dotted paths. A check that misses a key stays silent when it is here.
#[derive(Debug, Default)]
pub(crate) struct Lost(Vec<String>);

impl Lost {
    /// Whether one of these keys of this table was cut out, or something that was meant to be it.
    pub(crate) fn any(&self, table: &str, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(&format!("{table}.{key}")))
    }

    /// Whether this section or key was cut out.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.iter().any(|lost| lost == path)
    }
}

/// The document, or every place where it is not TOML.
pub(crate) fn parse<'s>(problems: &mut Problems<'s>) -> Option<DeTable<'s>> {
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
pub(crate) fn decode<T: DeserializeOwned>(
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
