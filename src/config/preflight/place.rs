//! Places of keys and texts in the document that the user wrote.

use std::ops::Range;

use toml::Spanned;
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

/// The place of the value of a key that the user wrote. A number in the key counts the items of a list.
pub(super) fn span_of_item(document: &DeTable<'_>, key: &[&str]) -> Option<Range<usize>> {
    item_of(document, key).map(Spanned::span)
}

fn value_of<'d, 's>(document: &'d DeTable<'s>, key: &[&str]) -> Option<&'d DeValue<'s>> {
    item_of(document, key).map(Spanned::get_ref)
}

fn item_of<'d, 's>(document: &'d DeTable<'s>, key: &[&str]) -> Option<&'d Spanned<DeValue<'s>>> {
    let (first, rest) = key.split_first()?;
    rest.iter().try_fold(document.get(*first)?, |item, part| match item.get_ref() {
        DeValue::Table(table) => table.get(*part),
        DeValue::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn text_within(value: &DeValue<'_>, text: &str) -> Option<Range<usize>> {
    let in_value = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(written) => (written == text).then(|| value.span()),
        other => text_within(other, text),
    };
    match value {
        DeValue::Table(table) => table.values().find_map(in_value),
        DeValue::Array(items) => items.iter().find_map(in_value),
        _ => None,
    }
}
