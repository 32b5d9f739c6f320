//! Places of keys and texts in the document that the user wrote.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// The place of a key's value, or of the nearest table around it that is in the file.
pub(super) fn span_of(document: &DeTable<'_>, key: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = key.split_first()?;
    let (name, value) = document.get_key_value(*first)?;
    match value.get_ref() {
        DeValue::Table(table) if !rest.is_empty() => {
            span_of(table, rest).or_else(|| Some(name.span()))
        }
        _ => Some(value.span()),
    }
}

/// Whether the user wrote the key.
pub(super) fn is_written(document: &DeTable<'_>, key: &[&str]) -> bool {
    value_of(document, key).is_some()
}

/// The place of a text that is written below a key. A text with variables is not found: then it is
/// the place of the key.
pub(super) fn span_of_text(
    document: &DeTable<'_>,
    key: &[&str],
    text: &str,
) -> Option<Range<usize>> {
    let found = value_of(document, key).and_then(|value| text_within(value, text));
    found.or_else(|| span_of(document, key))
}

fn value_of<'d, 's>(document: &'d DeTable<'s>, key: &[&str]) -> Option<&'d DeValue<'s>> {
    let (first, rest) = key.split_first()?;
    let value = document.get(*first)?.get_ref();
    match value {
        _ if rest.is_empty() => Some(value),
        DeValue::Table(table) => value_of(table, rest),
        _ => None,
    }
}

fn text_within(value: &DeValue<'_>, text: &str) -> Option<Range<usize>> {
    let in_value = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(written) => (written == text).then(|| value.span()),
        other => text_within(other, text),
    };
    match value {
        DeValue::Table(table) => table.values().find_map(in_value),
        DeValue::Array(items) => items.iter().find_map(in_value),
        _ => None,
    }
}
