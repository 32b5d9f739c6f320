//! Replaces `${X}`, `${X:-default}` and `$${` in string values.
//!
//! Works on the parsed document, never on the raw text, so that the value of a variable cannot add
//! a key or a table. A value is not expanded again, so it cannot refer to another variable.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::grammar::is_variable_name;
use crate::config::report::mask;
use crate::config::report::problem::Problems;

/// Looks up a variable of the appliance's environment.
pub(crate) type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// Replaces variables in every string value of `table`.
pub(crate) fn expand_table(
    table: &mut DeTable<'_>,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) {
    for (_, value) in table.iter_mut() {
        expand_value(value, lookup, problems);
    }
}

fn expand_value(value: &mut Spanned<DeValue<'_>>, lookup: Lookup<'_>, problems: &mut Problems<'_>) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains('$') => {
            let secrets = std::cell::RefCell::new(Vec::new());
            let noting = |name: &str| {
                let value = lookup(name);
                let secret = value.clone().filter(|value| mask::is_secret_value(name, value));
                secrets.borrow_mut().extend(secret);
                value
            };
            let expanded = expand(text, &noting, |bad, why, help| {
                problems.error_with_help(&within(problems.text(), &span, bad), why, help);
            });
            secrets.into_inner().iter().for_each(|secret| problems.hide(secret));
            *text = Cow::Owned(expanded);
        }
        DeValue::Array(items) => {
            items.iter_mut().for_each(|item| expand_value(item, lookup, problems));
        }
        DeValue::Table(table) => expand_table(table, lookup, problems),
        _ => {}
    }
}

/// The position of `part` within a value of one line. For a value of several lines, the position of
/// the whole value: only its first line contains the key by which the mask recognises a secret.
fn within(text: &str, span: &Range<usize>, part: &str) -> Range<usize> {
    let value = text.get(span.clone()).unwrap_or_default();
    match value.find(part) {
        Some(at) if !value.contains('\n') => span.start + at..span.start + at + part.len(),
        _ => span.clone(),
    }
}

/// Expands one text. `refuse` receives each wrong reference, the reason, and help.
fn expand(text: &str, lookup: Lookup<'_>, mut refuse: impl FnMut(&str, String, &str)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(inner) = rest.strip_prefix("${") {
            let Some(end) = inner.find('}') else {
                refuse("${", "`${` has no closing `}`".to_owned(), LITERAL);
                return out;
            };
            let reference = &rest[..end + 3];
            match resolve(&inner[..end], lookup) {
                Ok(value) => out.push_str(&value),
                Err(why) => refuse(reference, why, LITERAL),
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out + rest
}

const LITERAL: &str =
    "set it, give a default as in `${NAME:-default}`, or write `$${` for a literal `${`";

fn resolve(reference: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if default.is_some_and(|default| default.contains("${")) {
        return Err(format!("the default of {name} refers to another variable; write plain text"));
    }
    if !is_variable_name(name) {
        return Err(format!("`${{{reference}}}` is not a variable reference"));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the variable {name} is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_by_values() {
        let lookup = |name: &str| match name {
            "SET" => Some("v ${SET} $${".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expanded) in [
            ("a${SET}b", "av ${SET} $${b"),
            ("${SET:-d}", "v ${SET} $${"),
            ("${NONE:-http://x:1/}", "http://x:1/"),
            ("${NONE:-}", ""),
            ("<${EMPTY}>", "<>"),
            ("${EMPTY:-d}", "d"),
            ("$${SET} $HOME 5$", "${SET} $HOME 5$"),
        ] {
            let got = expand(text, &lookup, |bad, why, _| panic!("{bad}: {why}"));
            assert_eq!(got, expanded, "{text}");
        }
    }

    #[test]
    fn wrong_references_are_reported() {
        for (text, bad) in
            [("x${NONE}y", "${NONE}"), ("${}", "${}"), ("${A-b}", "${A-b}"), ("${A", "${")]
        {
            let mut seen = Vec::new();
            expand(text, &|_| None, |bad, _, _| seen.push(bad.to_owned()));
            assert_eq!(seen, [bad], "{text}");
        }
    }
}
