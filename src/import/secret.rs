//! Secrets that stand in clear in a source: the written file names a variable instead.

use super::draft::Table;
use super::value::{Value, literal, only_reference, reference, template};
use crate::config::mask;

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

    /// The text without any of the secrets: the second line of defence, for remarks and comments.
    pub(super) fn removed_from(&self, text: &str) -> String {
        let mut values: Vec<&str> = self.found.iter().map(|(_, value)| value.as_str()).collect();
        // Short values would match everywhere. A value that contains another one goes first.
        values.retain(|value| value.len() >= 8);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.into_iter().fold(text.to_owned(), |text, value| text.replace(value, "***"))
    }
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
        assert_eq!(secrets.removed_from("it is s3cr3t-1!"), "it is ***!");
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
