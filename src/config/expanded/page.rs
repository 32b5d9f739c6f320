//! The settings of a configuration in the order of `check --expanded`, and their text with secrets
//! masked.

use std::fmt::Write;

use toml::Value;

use super::value::shortened;
use crate::config::model::Secret;
use crate::config::report::mask;

/// Settings that grow line by line.
#[derive(Debug, Default)]
pub(crate) struct Page {
    tables: Vec<Table>,
}

/// One table of the configuration.
#[derive(Debug)]
pub(crate) struct Table {
    /// `server`, `apps.app1`
    pub(crate) name: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Key(String, Value),
    /// A property without a key of its own: its name, and what is shown.
    Note(&'static str, String),
}

impl Page {
    pub(super) fn table(&mut self, name: &str) {
        self.tables.push(Table { name: name.to_owned(), lines: Vec::new() });
    }

    pub(super) fn key(&mut self, key: &str, value: impl Into<Value>) {
        self.push(Line::Key(key.to_owned(), value.into()));
    }

    pub(super) fn some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    /// A comment, for a property that has no key.
    pub(super) fn note(&mut self, name: &'static str, text: impl Into<String>) {
        self.push(Line::Note(name, text.into()));
    }

    fn push(&mut self, line: Line) {
        if let Some(table) = self.tables.last_mut() {
            table.lines.push(line);
        }
    }

    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The page as TOML. Long scripts are shortened, so that the other settings stay visible.
    pub(super) fn text(&self, secrets: &[Secret]) -> String {
        let mut text = String::new();
        for table in &self.tables {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{}]", table.name);
            for line in &table.lines {
                match line {
                    Line::Key(key, value) => {
                        let line = format!("{key} = {}", shown_at(key, value, secrets));
                        let _ = writeln!(text, "{}", mask::text(&line));
                    }
                    Line::Note(_, note) => {
                        let _ = writeln!(text, "# {}", mask::text(note));
                    }
                }
            }
        }
        text
    }
}

impl Table {
    /// All settings as key and value; the keys of probes one by one. A key that is set several times
    /// has all its values.
    pub(crate) fn settings(&self) -> Vec<(String, Value)> {
        let mut found: Vec<(String, Value)> = Vec::new();
        let mut add = |key: String, value: Value| {
            if let Some((_, known)) = found.iter_mut().find(|(known, _)| *known == key) {
                *known = Value::Array(vec![known.clone(), value]);
            } else {
                found.push((key, value));
            }
        };
        for line in &self.lines {
            match line {
                Line::Key(key, Value::Table(probe)) if key == "ready" || key == "live" => {
                    for (part, value) in probe {
                        add(format!("{key}.{part}"), value.clone());
                    }
                }
                Line::Key(key, value) => add(key.clone(), value.clone()),
                Line::Note(name, text) => add((*name).to_owned(), text.as_str().into()),
            }
        }
        found
    }
}

/// The value of a key. What the key says to be secret is masked before it is text, where a quote or a
/// bracket in it could look like its end.
fn shown_at(key: &str, value: &Value, secrets: &[Secret]) -> Value {
    match value {
        Value::String(_) if mask::is_secret_key(key) => Value::String(mask::STARS.to_owned()),
        Value::Array(items) if mask::is_secret_key(key) => {
            Value::Array(items.iter().map(|_| Value::String(mask::STARS.to_owned())).collect())
        }
        other => shown(other, secrets),
    }
}

/// A value with secrets masked.
pub(super) fn shown(value: &Value, secrets: &[Secret]) -> Value {
    match value {
        Value::String(text) => Value::String(mask::without(text, secrets)),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => shown(&Value::String(shortened(text)), secrets),
                other => shown(other, secrets),
            });
            Value::Array(items.collect())
        }
        Value::Table(table) => Value::Table(
            table.iter().map(|(key, value)| (key.clone(), shown_at(key, value, secrets))).collect(),
        ),
        other => other.clone(),
    }
}
