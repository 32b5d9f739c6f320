//! Decodes a TOML document into the structs of [`crate::config::file`], and reports every error,
//! not only the first.
//!
//! serde stops at the first error. Therefore the part with the error is cut out of the document and
//! the rest is decoded again, until there is no error left. Each round costs the decoding of one
//! small document.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue, Deserializer};

use super::complaint::Complaint;
use crate::config::report::problem::Problems;

/// Dotted paths of the parts that were cut out. A check that misses a key reports nothing if the
/// key is in this list.
#[derive(Debug, Default)]
pub(crate) struct CutOut(Vec<String>);

impl CutOut {
    /// Whether one of these keys of this table was cut out, or a misspelt key that was probably
    /// meant to be one of them.
    pub(crate) fn any(&self, table: &str, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(&format!("{table}.{key}")))
    }

    /// Whether this section or key was cut out.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.iter().any(|cut_out| cut_out == path)
    }
}

/// Parses the document; reports every syntax error.
pub(crate) fn parse<'s>(problems: &mut Problems<'s>) -> Option<DeTable<'s>> {
    let (document, errors) = DeTable::parse_recoverable(problems.text());
    let text = problems.text();
    // An error also causes errors in the rest of its line, and in the keys of a table that is
    // defined twice. These are not reported.
    let mut reported: Range<usize> = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        if reported.contains(&span.start) {
            continue;
        }
        let line = text[span.start..].find('\n').map_or(text.len(), |end| span.start + end);
        reported = span.start..line + 1;
        match error.message() {
            "duplicate key" => {
                let message = if let Some(header) = header_at(text, span.start) {
                    reported.end = text[line..].find("\n[").map_or(text.len(), |next| line + next);
                    format!("`{header}` is defined twice")
                } else {
                    format!("`{}` is set twice", text.get(span.clone()).unwrap_or_default())
                };
                problems.error_with_help(&span, message, "rename or remove one of the two");
            }
            open if open.ends_with("string, expected `\"`") => {
                problems.error_with_help(&span, open, "the text has no closing quote: `\"…\"`");
            }
            // The TOML parser takes an unquoted value that begins like a number for a number.
            value
                if value.contains("must be quoted")
                    || value.starts_with("invalid ") && !value.contains("key") =>
            {
                problems.error_with_help(&span, value, "strings need quotes: `\"…\"`");
            }
            other => problems.error_with_help(&span, other, advice(other)),
        }
    }
    problems.is_empty().then(|| document.into_inner())
}

/// How to correct what the TOML parser complains of.
fn advice(complaint: &str) -> String {
    let missing =
        complaint.strip_prefix("unclosed ").and_then(|rest| rest.split_once(", expected "));
    missing.map_or_else(
        || "see https://toml.io for the syntax".to_owned(),
        |(part, closing)| format!("close the {part} with {closing}"),
    )
}

/// The header of a table that this position is in.
fn header_at(text: &str, at: usize) -> Option<&str> {
    let begin = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let line = text[begin..].lines().next()?.trim_start();
    let end = at - begin + text[at..].find(']')? + 1;
    line.starts_with('[').then(|| text[begin..].get(..end).map(str::trim)).flatten()
}

/// Decodes what can be decoded; `table` keeps only that part. `None` if nothing can be decoded.
pub(crate) fn decode<T: DeserializeOwned>(
    table: &mut DeTable<'_>,
    problems: &mut Problems<'_>,
    cut_out: &mut CutOut,
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
        // A table whose key was cut out may miss that key now, which is not a second problem.
        if complaint != Complaint::Absence || !problems.any_within(&span) {
            complaint.report(error.message(), &span, path.as_deref(), problems);
        }
        cut_out.0.push(complaint.meant(path?));
    }
}

/// Removes the innermost entry that the span belongs to; returns its dotted path.
///
/// The span of a table with a header does not contain its children, so all tables are searched. A
/// list of tables has the span of its first table: `whole` removes the whole list.
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

/// Removes one table of a list, so that the other tables of the list are still checked.
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
