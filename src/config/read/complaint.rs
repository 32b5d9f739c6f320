//! Errors of serde, translated into the terms of the file.

use std::ops::Range;

use crate::config::file::TABLES;
use crate::config::report::problem::Problems;
use crate::config::report::suggest;

/// An error of serde, parsed from its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// An unknown key, and the known keys.
    Key(String, Vec<String>),
    /// An unknown word, and the known words.
    Word(String, Vec<String>),
    /// A value of the wrong type.
    Type { expected: String, found: &'static str },
    /// A missing key.
    Absence,
    /// Any other error, shown as it is.
    Other,
}

impl Complaint {
    pub(super) fn of(text: &str) -> Self {
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

    pub(super) fn is_about_a_list(&self) -> bool {
        matches!(self, Self::Type { found: "a list", .. })
    }

    pub(super) fn report(
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
                problems.error_with_help(span, format!("`{word}` is not a value of `{key}`"), help);
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
                let help = format!("add `{missing} = …` to the table");
                problems.error_with_help(span, format!("missing key `{missing}`"), help);
            }
            Self::Other => problems.error(span, format!("`{key}`: {text}")),
        }
    }

    /// The path that was cut out, or the path of the known key that the author probably meant.
    pub(super) fn meant(&self, path: String) -> String {
        let Self::Key(word, known) = self else { return path };
        let near = suggest::nearest(word, known.iter().map(String::as_str));
        match (near, path.rsplit_once('.')) {
            (Some(near), Some((table, _))) => format!("{table}.{near}"),
            (Some(near), None) => near.to_owned(),
            (None, _) => path,
        }
    }
}

fn help_with_key(word: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.len() > 12 && suggest::nearest(word, known.iter().copied()).is_none() {
        "`appliance schema` lists all keys".to_owned()
    } else {
        suggest::help(word, &known)
    }
}

const TOO_LARGE: &str = "a number that large";

fn how_to_write(expected: &str, found: &str, key: &str) -> Option<String> {
    Some(match expected {
        "a list" => format!("write it as `{key} = [\"…\"]`"),
        "a table" | "a table or a list of tables" | "`false` or a table" => {
            format!("write it as `{key} = {{ … }}`")
        }
        "a string" => "strings need quotes: `\"…\"`".to_owned(),
        "a string, a table or a list of tables"
        | "a string or a table"
        | "a string or a list of strings" => {
            format!("write it as `{key} = \"…\"`")
        }
        secret if secret.starts_with("a table such as ") => {
            "put the secret in a variable or a file and name that here".to_owned()
        }
        "a whole number" if found == TOO_LARGE => "write a smaller number".to_owned(),
        "a whole number" | "`true` or `false`" => "remove the quotes".to_owned(),
        TABLES => "start each app with a header `[apps.NAME]`".to_owned(),
        _ => return None,
    })
}

/// Translates `invalid type: string "s3cret", expected a sequence` into the terms of TOML, without
/// the value, which may be a secret.
fn wrong_type(text: &str) -> Option<Complaint> {
    // About an enum: serde does not say which one.
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
        "floating" => "a fraction",
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
    fn errors_of_serde_are_translated_without_the_value() {
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
                is("a whole number", "a number that large"),
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
