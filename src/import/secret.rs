//! Secrets that stand in clear in a source: the written file names a variable instead.

use std::ops::Range;

use super::draft::{App, Draft, Table};
use super::value::{Value, literal, only_reference, readable, reference, template};
use crate::config::{Secret, mask};

/// The secrets that were found, with the variables that shall hold them.
pub(super) struct Secrets<'l> {
    lookup: &'l dyn Fn(&str) -> Option<String>,
    found: Vec<(String, String)>,
}

impl<'l> Secrets<'l> {
    pub(super) fn new(lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, found: Vec::new() }
    }

    /// Whether a variable is set where the import runs.
    pub(super) fn is_set(&self, name: &str) -> bool {
        (self.lookup)(name).is_some()
    }

    /// Notes a secret that nothing stands for, so that no remark shows it.
    pub(super) fn hide(&mut self, secret: &str) {
        self.found.push((String::new(), secret.to_owned()));
        self.note_parts(secret);
    }

    pub(super) fn template(&self, text: &str) -> String {
        template(text, |name| self.is_set(name))
    }

    pub(super) fn literal(&self, text: &str) -> String {
        literal(text, |name| self.is_set(name))
    }

    /// The variable for a secret: two secrets never share one. Says on `table` that it must be set.
    pub(super) fn variable(
        &mut self,
        name: &str,
        app: &str,
        secret: &str,
        place: &str,
        table: &mut Table,
    ) -> String {
        let plain = variable_name(name);
        let own = format!("{}_{plain}", variable_name(app));
        let more = (2..).map(|number| format!("{own}_{number}"));
        // `URL` or `TOKEN` says too little among the variables of the appliance.
        let plain = Some(plain).filter(|name| name.contains('_'));
        let candidates = plain.into_iter().chain([own.clone()]).chain(more);
        let is_free = |candidate: &String| {
            self.found.iter().all(|(known, value)| known != candidate || value == secret)
        };
        let variable = candidates.filter(|c| !c.is_empty()).find(is_free).unwrap_or(own);
        self.found.push((variable.clone(), secret.to_owned()));
        self.note_parts(secret);
        table.missing(
            place,
            format!(
                "the value of `{name}` is a secret and is not copied; set the variable {variable} where the appliance starts: `export {variable}=…`"
            ),
        );
        variable
    }

    /// The value of a variable of an app: text, or a secret.
    pub(super) fn env_value(
        &mut self,
        (name, text): (&str, &str),
        app: &str,
        place: &str,
        table: &mut Table,
    ) -> Value {
        if let Some(variable) = only_reference(text).filter(|_| mask::is_secret_value(name, text)) {
            return Value::variable(variable);
        }
        if !text.is_empty() && mask::is_secret_value(name, text) {
            return Value::variable(&self.variable(name, app, text, place, table));
        }
        self.template(text).into()
    }

    /// The arguments with `${NAME}` for each secret: `--token=x`, `--token x`, `PASSWORD=x` in a line
    /// of a shell, and passwords in URLs.
    pub(super) fn arguments(
        &mut self,
        argv: &[String],
        app: &str,
        place: &str,
        table: &mut Table,
    ) -> Value {
        let mut flag: Option<&str> = None;
        let mut written = Vec::new();
        for word in argv {
            let flagged = flag.filter(|flag| mask::is_secret_value(flag, ""));
            let hidden = match flagged {
                Some(_) if !word.starts_with('-') => std::iter::once(0..word.len()).collect(),
                _ => mask::hidden(word),
            };
            let (mut text, mut at) = (String::new(), 0);
            for range in hidden.into_iter().filter(|range| !range.is_empty()) {
                let secret = &word[range.clone()];
                text.push_str(&word[at..range.start]);
                at = range.end;
                // `$X` and `${X}` are no secrets, but names of variables.
                if secret.starts_with('$') || only_reference(secret).is_some() {
                    text.push_str(secret);
                    continue;
                }
                let name = flagged.unwrap_or_else(|| name_before(&word[..range.start]));
                text.push_str(&reference(&self.variable(name, app, secret, place, table)));
            }
            text.push_str(&word[at..]);
            written.push(self.template(&text));
            flag = Some(word.trim_start_matches('-')).filter(|_| word.starts_with('-'));
        }
        Value::list(written)
    }

    /// Takes the secrets out where they stand once more: a value of `env` or of a command names a
    /// variable, and remarks are masked. Names and keys stay, so that the file stays valid.
    pub(super) fn taken_out(&mut self, draft: &mut Draft) {
        for app in &mut draft.apps {
            self.out_of_values(app);
        }
        let found: Vec<Secret> =
            self.found.iter().map(|(_, value)| Secret::from(value.as_str())).collect();
        draft.tables_mut().for_each(|table| table.edit_remarks(|text| mask::without(text, &found)));
    }

    fn out_of_values(&mut self, app: &mut App) {
        let App { name: app, table } = app;
        if let Some(Value::Table(mut env)) = table.get("env").cloned() {
            for (key, value) in &mut env {
                let Value::Text(text) = value else { continue };
                let place = format!("[apps.{app}]");
                let is_it = |secret: &String| self.template(secret) == *text;
                if let Some(secret) = self.long_ones().into_iter().find(is_it) {
                    *value = Value::variable(&self.variable(key, app, &secret, &place, table));
                } else {
                    self.out_of_text(text, Some(key), app, table);
                }
            }
            table.set("env", Value::Table(env));
        }
        for key in ["command", "streamlit"] {
            let Some(mut value) = table.get(key).cloned() else { continue };
            let words = match &mut value {
                Value::List(words) => words.as_mut_slice(),
                Value::Table(keys) => match keys.iter_mut().find(|(key, _)| key == "args") {
                    Some((_, Value::List(words))) => words.as_mut_slice(),
                    _ => continue,
                },
                _ => continue,
            };
            // The first word of a command is the name of a program.
            for word in words.iter_mut().skip(usize::from(key == "command")) {
                if let Value::Text(text) = word {
                    self.out_of_text(text, None, app, table);
                }
            }
            table.set(key, value);
        }
    }

    /// Puts a reference in place of each secret within a value. `key`: its variable, if it is of `env`.
    fn out_of_text(&mut self, text: &mut String, key: Option<&str>, app: &str, table: &mut Table) {
        for secret in self.long_ones() {
            let written = self.template(&secret);
            let mut from = 0;
            while let Some(at) = text[from..].find(&written).map(|at| from + at) {
                let end = at + written.len();
                if !is_value(text, at..end) {
                    from = end;
                    continue;
                }
                let known = self.found.iter().find(|(name, s)| *s == secret && !name.is_empty());
                let variable = if let Some((name, _)) = known {
                    name.clone()
                } else {
                    let name = key.unwrap_or_else(|| name_before(&text[..at])).to_owned();
                    self.variable(&name, app, &secret, &format!("[apps.{app}]"), table)
                };
                let reference = self.template(&reference(&variable));
                text.replace_range(at..end, &reference);
                from = at + reference.len();
            }
        }
    }

    /// The secrets that are searched for in values, the longest first, because one can contain another.
    /// Shorter ones are words that stand in many places.
    fn long_ones(&self) -> Vec<String> {
        const SHORTEST: usize = 8;
        let values = self.found.iter().map(|(_, value)| value);
        let mut values: Vec<String> = values
            .filter(|value| value.len() >= SHORTEST && readable(value) == **value)
            .cloned()
            .collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        values
    }

    /// Notes the passwords of URLs in a secret, which can stand elsewhere without the rest.
    fn note_parts(&mut self, secret: &str) {
        let parts = mask::hidden(secret).into_iter().map(|range| secret[range].to_owned());
        let parts: Vec<_> = parts.filter(|part| part != secret).collect();
        self.found.extend(parts.into_iter().map(|part| (String::new(), part)));
    }
}

/// Whether a part of a text is a value. A plain word such as `keycloak` is none within a path or a name.
fn is_value(text: &str, part: Range<usize>) -> bool {
    let is_name = |c: Option<char>| {
        c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    let is_word = text[part.clone()].bytes().all(|b| b.is_ascii_lowercase());
    let before = text[..part.start].chars().next_back();
    let after = text[part.end..].chars().next();
    !(is_word && (is_name(before) || is_name(after)))
}

/// The name of the flag or variable whose value follows.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches(['=', ':', ' ', '"', '\'', '/', '@']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let begin = text.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
    match text[begin..].trim_matches('-') {
        "" => "password",
        name => name,
    }
}

/// A name in capitals, as variables have it.
fn variable_name(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(clean).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::draft::Remark;

    #[test]
    fn secrets_of_a_command_become_variables() {
        let lookup = |_: &str| None;
        let mut secrets = Secrets::new(&lookup);
        let mut table = Table::default();
        let argv = ["serve", "--token", "s3cr3t-1", "--api-key=s3cr3t-2", "--db"];
        let argv = argv.iter().map(ToString::to_string).chain([
            "postgres://me:s3cr3t-3@db/x".to_owned(),
            "exec x --password=s3cr3t-4 && y".to_owned(),
            "PASSWORD=$GIVEN run".to_owned(),
        ]);
        let argv: Vec<String> = argv.collect();
        let written = secrets.arguments(&argv, "web", "x.conf", &mut table).to_string();
        assert!(!written.contains("s3cr3t"), "{written}");
        assert!(written.contains("\"--token\", \"${WEB_TOKEN:-}\", \"--api-key=${API_KEY:-}\""));
        assert!(written.contains("postgres://me:${WEB_ME:-}@db/x"), "{written}");
        assert!(written.contains("--password=${WEB_PASSWORD:-} && y"), "{written}");
        assert!(written.contains("PASSWORD=$GIVEN run"), "{written}");
        assert_eq!(table.remarks.len(), 4, "{:?}", table.remarks);
        let mut draft = Draft::default();
        draft.head.hint("it is s3cr3t-1!");
        secrets.taken_out(&mut draft);
        assert_eq!(draft.head.remarks, [Remark::Hint("it is ***!".to_owned())]);
    }

    #[test]
    fn two_secrets_have_two_variables() {
        let lookup = |_: &str| None;
        let mut secrets = Secrets::new(&lookup);
        let mut table = Table::default();
        let mut value = |app: &str, text: &str| {
            secrets.env_value(("DB_PASSWORD", text), app, "x", &mut table).to_string()
        };
        assert_eq!(value("a", "one"), r#"{ env = "DB_PASSWORD" }"#);
        assert_eq!(value("b", "one"), r#"{ env = "DB_PASSWORD" }"#);
        assert_eq!(value("b", "two"), r#"{ env = "B_DB_PASSWORD" }"#);
        assert_eq!(value("c", &reference("X")), r#"{ env = "X" }"#);
        assert_eq!(value("c", ""), r#""""#);
    }
}
