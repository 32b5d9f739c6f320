//! TOML output that grows line by line, with secrets masked.

use std::fmt::Write;

use toml::Value;

use crate::config::model::Secret;
use crate::config::report::mask;

/// TOML output that grows line by line, with secrets masked.
pub(super) struct Page<'c> {
    pub(super) text: String,
    pub(super) secrets: &'c [Secret],
}

impl Page<'_> {
    pub(super) fn table(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "[{name}]");
    }

    pub(super) fn key(&mut self, key: &str, value: impl Into<Value>) {
        let line = format!("{key} = {}", self.without_secrets(value.into()));
        let _ = writeln!(self.text, "{}", mask::text(&line));
    }

    fn without_secrets(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(mask::without(&text, self.secrets)),
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.without_secrets(item));
                Value::Array(items.collect())
            }
            Value::Table(table) => Value::Table(
                table.into_iter().map(|(key, value)| (key, self.without_secrets(value))).collect(),
            ),
            other => other,
        }
    }

    pub(super) fn some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    /// A comment, for settings that have no key.
    pub(super) fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }
}
