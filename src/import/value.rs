//! Values of the written file, and how text becomes a TOML string that means the same.

use std::fmt;
use std::fmt::Write as _;

/// Marks the name of a variable of the environment within a text: sources and secrets write the
/// marks, and [`literal`] and [`template`] turn them into `${NAME}`. Both characters are of the private
/// use area, so no file that people write has them.
const BEGIN: char = '\u{E000}';
const END: char = '\u{E001}';

/// Stands for the placeholder `{port}` in a text for [`template`].
pub(super) const PORT: char = '\u{E002}';

/// A value of `appliance.toml`. Tables keep the order in which they were filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    pub(super) fn table<T: Into<Value>>(
        items: impl IntoIterator<Item = (impl Into<String>, T)>,
    ) -> Self {
        Self::Table(items.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// `{ env = "NAME" }`
    pub(super) fn variable(name: &str) -> Self {
        Self::table([("env", name)])
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl fmt::Display for Value {
    /// On one line, as TOML 1.0 reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Number(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(items) if items.is_empty() => f.write_str("{}"),
            Self::Table(items) => {
                let items: Vec<_> =
                    items.iter().map(|(key, value)| format!("{} = {value}", bare(key))).collect();
                write!(f, "{{ {} }}", items.join(", "))
            }
        }
    }
}

/// A key as it is written: in quotes only where it needs them.
pub(super) fn bare(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { quoted(key) }
}

/// A string on one line: in single quotes if that saves escapes.
fn quoted(text: &str) -> String {
    let odd = |c: char| c.is_control();
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(odd) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if odd(c) => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A reference to a variable, for a text that [`literal`] or [`template`] gets later.
pub(super) fn reference(name: &str) -> String {
    format!("{BEGIN}{name}{END}")
}

/// The variable, if the text is a reference and nothing else.
pub(super) fn only_reference(text: &str) -> Option<&str> {
    let name = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    (!name.contains([BEGIN, END])).then_some(name)
}

/// The text with references for people to read, as in remarks.
pub(super) fn readable(text: &str) -> String {
    text.replace(BEGIN, "${").replace(END, "}")
}

/// For a setting that knows variables and no placeholders.
pub(super) fn literal(text: &str, is_set: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    let mut parts = text.replace("${", "$${");
    while let Some((before, rest)) = parts.split_once(BEGIN) {
        let (name, rest) = rest.split_once(END).unwrap_or((rest, ""));
        // A variable without a default must be set wherever the file is checked.
        let default = if is_set(name) { "" } else { ":-" };
        let _ = write!(out, "{before}${{{name}{default}}}");
        parts = rest.to_owned();
    }
    out + &parts
}

/// The same for a setting that also knows placeholders (`command`, `env`, `ready`).
pub(super) fn template(text: &str, is_set: impl Fn(&str) -> bool) -> String {
    let text = literal(text, is_set);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{') {
        let (before, braced) = rest.split_at(at);
        out.push_str(before);
        let word = braced[1..].split('}').next().unwrap_or_default();
        let is_word = !word.is_empty()
            && braced.len() > word.len() + 1
            && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_word && !out.ends_with(['$', '%', '{']) {
            let _ = write!(out, "{{{{{word}}}}}");
            rest = &braced[word.len() + 2..];
        } else {
            out.push('{');
            rest = &braced[1..];
        }
    }
    (out + rest).replace(PORT, "{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_back_as_it_was() {
        for text in
            ["plain", "two words", "a \"b\"", "c:\\d", "it's \"both\"", "a\nb\tc\u{1}", "", "ä€"]
        {
            let line = format!("x = {}", Value::from(text));
            let table: toml::Table = line.parse().unwrap();
            assert_eq!(table["x"].as_str(), Some(text), "{line}");
        }
        let table = Value::table([("A", "1"), ("b.c", "2")]);
        assert_eq!(table.to_string(), r#"{ A = "1", "b.c" = "2" }"#);
        assert_eq!(Value::list([1, 2]).to_string(), "[1, 2]");
    }

    #[test]
    fn what_the_appliance_would_replace_is_doubled() {
        let set = |name: &str| name == "SET";
        for (text, literal_, template_) in [
            ("a $x ${HOME}", "a $x $${HOME}", "a $x $${HOME}"),
            ("echo {port} {A} {}", "echo {port} {A} {}", "echo {{port}} {A} {}"),
            ("curl %{http_code}", "curl %{http_code}", "curl %{http_code}"),
        ] {
            assert_eq!(literal(text, set), literal_);
            assert_eq!(template(text, set), template_);
        }
        let text = format!("{}/x:{}", reference("SET"), reference("UNSET"));
        assert_eq!(template(&text, set), "${SET}/x:${UNSET:-}");
        assert_eq!(readable(&text), "${SET}/x:${UNSET}");
        assert_eq!(only_reference(&reference("X")), Some("X"));
        assert_eq!(only_reference(&text), None);
    }
}
